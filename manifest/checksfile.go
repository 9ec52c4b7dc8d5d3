package manifest

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// readChecks reads CHECKS, which Dokku had before app.json's healthchecks. It counts
// where app.json says nothing of web.
func (l *loader) readChecks() {
	if l.app.AppJSON != nil {
		l.app.Healthchecks = l.app.AppJSON.Healthchecks
	}
	name := l.inFolder(checksName)
	text, s, ok := l.open(name)
	if !ok {
		l.checks = s
		return
	}
	checks, s := parseChecks(name, text)
	l.checks = s
	if _, said := l.app.Healthchecks["web"]; said {
		s.whole(Advice, "it is not used: app.json has healthchecks for web", "remove the file")
	} else if len(checks) > 0 {
		all := map[string][]Healthcheck{"web": checks}
		for process, others := range l.app.Healthchecks {
			all[process] = others
		}
		l.app.Healthchecks, l.app.ChecksText = all, string(text)
	}
	if len(checks) > 0 {
		l.also("healthchecks.web", byChecks, origin{name: name}, described(checks), false)
	}
}

// ParseChecks reads a CHECKS file: lines of PATH and the text that the page must hold,
// WAIT, TIMEOUT and ATTEMPTS for all of them, comments with #.
func ParseChecks(name string, text []byte) ([]Healthcheck, Diagnostics) {
	checks, s := parseChecks(name, text)
	if s.failed() {
		return nil, s.result()
	}
	return checks, s.result()
}

type checksReader struct {
	*source
	checks []Healthcheck
	// The defaults are those that Dokku had for this file.
	wait, timeout, attempts int
}

func parseChecks(name string, text []byte) ([]Healthcheck, *source) {
	r := &checksReader{source: newSource(name, text), wait: 5, timeout: 30, attempts: 5}
	if r.failed() {
		return nil, r.source
	}
	offset := 0
	for _, line := range strings.Split(r.text, "\n") {
		trimmed := strings.TrimLeft(line, " \t")
		at := offset + len(line) - len(trimmed)
		if trimmed = strings.TrimRight(trimmed, " \t\r"); trimmed != "" && trimmed[0] != '#' {
			r.line(at, trimmed)
		}
		offset += len(line) + 1
	}
	for i := range r.checks { // the settings hold for the whole file
		c := &r.checks[i]
		c.Wait, c.InitialDelay, c.Timeout = time.Duration(r.wait)*time.Second, time.Duration(r.wait)*time.Second, time.Duration(r.timeout)*time.Second
		c.Attempts = r.attempts
	}
	if longest := time.Duration(r.attempts) * time.Duration(r.wait+r.timeout) * time.Second; longest > maxCheck {
		r.whole(Mistake, "each check may take "+longest.String(), "lower ATTEMPTS, TIMEOUT or WAIT: together at most "+maxCheck.String())
	}
	if len(r.checks) == 0 && !r.failed() {
		r.whole(Advice, "it has no check", "write a line such as /healthz, or remove the file")
	}
	return r.checks, r.source
}

func (r *checksReader) line(at int, line string) {
	if strings.ContainsFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }) {
		r.mistake(at, "there is a control character in the line", "take it out")
		return
	}
	if strings.Contains(line, "{{") {
		r.mistake(at, "the line is a template", "write the value out: variables are not filled in any more")
		return
	}
	if name, number, ok := strings.Cut(line, "="); ok && !strings.ContainsAny(strings.TrimSpace(name), "/ \t") {
		r.setting(at, strings.TrimSpace(name), strings.TrimSpace(number))
		return
	}
	target, content := line, ""
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		target, content = line[:i], strings.TrimSpace(line[i:])
	}
	check := Healthcheck{Type: "startup", Scheme: "http", Content: content}
	for _, scheme := range [...]string{"http", "https"} {
		if rest, ok := strings.CutPrefix(target, scheme+"://"); ok {
			check.Scheme, target = scheme, "//"+rest
		}
	}
	if rest, ok := strings.CutPrefix(target, "//"); ok {
		host, path, _ := strings.Cut(rest, "/")
		if problem, hint := checkDomain(strings.ToLower(host)); problem != "" {
			r.mistake(at, "the host "+show(host)+" "+problem, hint)
			return
		}
		check.Headers, target = []Header{{"Host", host}}, "/"+path
	}
	if problem, hint := checkPath(target); problem != "" {
		r.mistake(at, "the path "+show(target)+" "+problem, hint)
		return
	}
	check.Path = target
	r.checks = append(r.checks, check)
}

func (r *checksReader) setting(at int, name, number string) {
	fields := map[string]*int{"WAIT": &r.wait, "TIMEOUT": &r.timeout, "ATTEMPTS": &r.attempts}
	field, known := fields[name]
	if !known {
		r.mistake(at, show(name)+" is not known", didYouMean(name, []string{"WAIT", "TIMEOUT", "ATTEMPTS"}))
		return
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxSeconds {
		r.mistake(at, name+" is "+show(number), "write a whole number from 1 to "+strconv.Itoa(maxSeconds))
		return
	}
	*field = n
}
