package manifest

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	maxSeconds  = 3600      // of any time in a healthcheck
	maxCheck    = time.Hour // that all attempts of one healthcheck may take
	maxAttempts = 1000
)

// The defaults are Dokku's.
const (
	defaultAttempts = 3
	defaultTimeout  = 5 * time.Second
	defaultWait     = 5 * time.Second
)

func (r appJSONReader) healthchecks(m member) {
	r.app.Healthchecks = map[string][]Healthcheck{}
	for _, process := range r.processes(m) {
		var checks []Healthcheck
		for _, element := range r.list(process.value, process.path) {
			checks = append(checks, r.healthcheck(element))
		}
		r.app.Healthchecks[process.key] = checks
	}
}

func (r appJSONReader) healthcheck(m member) Healthcheck {
	check := Healthcheck{Type: "startup", Scheme: "http"}
	r.fields(m.value, m.path, map[string]func(member){
		"type":         func(m member) { check.Type = r.oneOf(m, "startup", "readiness", "liveness") },
		"name":         func(m member) { check.Name = r.line(m) },
		"description":  func(m member) { check.Description = r.line(m) },
		"path":         func(m member) { check.Path = r.path(m) },
		"port":         func(m member) { check.Port, _ = r.number(m, 1, 65535) },
		"scheme":       func(m member) { check.Scheme = r.oneOf(m, "http", "https") },
		"content":      func(m member) { check.Content, _ = r.stringOf(m) },
		"command":      func(m member) { check.Command = r.command(m) },
		"httpHeaders":  func(m member) { check.Headers = r.headers(m) },
		"attempts":     func(m member) { check.Attempts, _ = r.number(m, 0, maxAttempts) },
		"initialDelay": func(m member) { check.InitialDelay = r.seconds(m) },
		"timeout":      func(m member) { check.Timeout = r.seconds(m) },
		"wait":         func(m member) { check.Wait = r.seconds(m) },
		"uptime":       func(m member) { check.Uptime = r.seconds(m) },
		"listening":    func(m member) { check.Listening = r.boolean(m) },
		"warn":         func(m member) { check.Warn = r.boolean(m) },
		"onFailure":    func(m member) { check.OnFailure = r.onFailure(m) },
	})
	// To Dokku 0 is "not said" for these three.
	if check.Attempts == 0 {
		check.Attempts = defaultAttempts
	}
	if check.Timeout == 0 {
		check.Timeout = defaultTimeout
	}
	if check.Wait == 0 {
		check.Wait = defaultWait
	}
	r.sound(m, check)
	return check
}

// onFailure reads who is told. A URL that only looks like one would be noticed when it
// is needed, which is too late.
func (r appJSONReader) onFailure(m member) *OnFailure {
	told := &OnFailure{}
	r.fields(m.value, m.path, map[string]func(member){
		"command": func(m member) { told.Command = r.command(m) },
		"url": func(m member) {
			text, ok := r.stringOf(m)
			address, err := url.Parse(text)
			if ok && text != "" && (err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" || strings.ContainsFunc(text, unicode.IsControl)) {
				r.mistake(m.value.StartOffset, m.path+" is no address of the web", "write it whole, such as https://hooks.example.com/failed")
			}
			told.URL = text
		},
	})
	if len(told.Command) == 0 && told.URL == "" {
		r.advice(m.value.StartOffset, m.path+" says nothing to do", "give it a command, a url, or both")
		return nil
	}
	return told
}

// sound looks at what the fields of a check mean together.
func (r appJSONReader) sound(m member, check Healthcheck) {
	var kinds []string
	for _, kind := range []struct {
		name string
		said bool
	}{{"path", check.Path != ""}, {"command", len(check.Command) > 0}, {"listening", check.Listening}, {"uptime", check.Uptime > 0}} {
		if kind.said {
			kinds = append(kinds, kind.name)
		}
	}
	at := m.value.StartOffset
	if len(kinds) > 1 {
		r.mistake(at, m.path+" checks several things: "+strings.Join(kinds, ", "), "write a healthcheck for each")
	}
	if check.Path == "" && (check.Content != "" || len(check.Headers) > 0) {
		r.advice(at, m.path+" asks for no path", "content and httpHeaders are used only with one")
	}
	if check.Type == "readiness" || check.Type == "liveness" {
		r.advice(at, m.path+" is a "+check.Type+" check, which is not run on a single host, as in Dokku", "what a deploy waits for is of the type startup")
	}
	longest := check.InitialDelay + check.Uptime + time.Duration(check.Attempts)*(check.Timeout+check.Wait)
	if longest > maxCheck {
		r.mistake(at, m.path+" may take "+longest.String(), "lower attempts, timeout or wait: together at most "+maxCheck.String())
	}
}

// seconds reads a time as Dokku does.
func (r appJSONReader) seconds(m member) time.Duration {
	n, _ := r.number(m, 0, maxSeconds)
	return time.Duration(n) * time.Second
}

func (r appJSONReader) oneOf(m member, words ...string) string {
	text, ok := r.stringOf(m)
	lower := strings.ToLower(text)
	if ok && !slices.Contains(words, lower) {
		r.mistake(m.value.StartOffset, m.path+" is "+show(text), "write one of: "+strings.Join(words, ", "))
	}
	return lower
}

// line reads text that is shown to people in one line.
func (r appJSONReader) line(m member) string {
	text, ok := r.stringOf(m)
	if ok && strings.ContainsFunc(text, unicode.IsControl) {
		r.mistake(m.value.StartOffset, m.path+" holds a control character", "write one line of text")
	}
	return text
}

// path reads what a GET asks for.
func (r appJSONReader) path(m member) string {
	text, ok := r.stringOf(m)
	if !ok || text == "" {
		return ""
	}
	if problem, hint := checkPath(text); problem != "" {
		r.mistake(m.value.StartOffset, m.path+" "+problem, hint)
	}
	return text
}

// checkPath takes what a GET can ask for. It can name nothing but the container itself.
func checkPath(text string) (problem, hint string) {
	const write = "write only the path, such as /healthz: the request goes to the container"
	switch {
	case text[0] != '/':
		return "does not begin with /", write
	case strings.HasPrefix(text, "//"):
		return "names a host", write
	case strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		return "holds a space or a control character", "write a space as %20"
	}
	if _, err := url.Parse("http://container" + text); err != nil {
		return "is no path of a URL", "% begins an escape of two hex digits, such as %20"
	}
	return "", ""
}

func (r appJSONReader) command(m member) []string {
	var words []string
	for _, element := range r.list(m.value, m.path) {
		word, _ := r.stringOf(element)
		if strings.IndexByte(word, 0) >= 0 {
			r.mistake(element.at, element.path+" holds a NUL byte", "take it out")
		}
		words = append(words, word)
	}
	if len(words) > 0 && words[0] == "" {
		r.mistake(m.value.StartOffset, m.path+" names no program", "write it as the first element, such as [\"/bin/check\"]")
	}
	return words
}

func (r appJSONReader) headers(m member) []Header {
	var headers []Header
	for _, element := range r.list(m.value, m.path) {
		var header Header
		r.fields(element.value, element.path, map[string]func(member){
			"name":  func(m member) { header.Name, _ = r.stringOf(m) },
			"value": func(m member) { header.Value, _ = r.stringOf(m) },
		})
		at := element.value.StartOffset
		if header.Name == "" || strings.ContainsFunc(header.Name, func(c rune) bool { return !isTokenRune(c) }) {
			r.mistake(at, element.path+" has a name that no HTTP header can have", "write letters, digits and hyphens, such as X-Probe")
		}
		if strings.ContainsFunc(header.Value, unicode.IsControl) {
			r.mistake(at, element.path+" has a control character in its value", "write one line of text")
		}
		headers = append(headers, header)
	}
	return headers
}

func isTokenRune(c rune) bool { return isWordRune(c) || strings.ContainsRune("!#$%&'*+-.^`|~", c) }
