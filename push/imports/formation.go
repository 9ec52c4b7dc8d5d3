package imports

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	scaleForm    = regexp.MustCompile(`^(?:-----> )?([A-Za-z0-9][A-Za-z0-9_-]*):?\s+([0-9]+)$`)
	scaleTitle   = regexp.MustCompile(`^(-----> Scaling for \S+|(-----> )?proctype:? +qty|(-----> )?-+:? +-+)$`)
	resourceForm = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_-]*)\.(limit|reserve)\.([a-z-]+)$`)
)

// processes reads how many containers each process type has, and what is set for each.
func (l *look) processes(ctx context.Context) error {
	command := "ps:scale " + l.app
	answer, err := l.command(ctx, "ps:scale", l.app)
	if err != nil {
		return err
	}
	if err := answer.good(command); err != nil {
		return err
	}
	r, err := l.must(ctx, "ps:report", "ps", l.app)
	if err != nil {
		return err
	}
	byFile := r.get("can-scale") == "false"
	for n, line := range lines(answer.Out) {
		line = strings.TrimSpace(line)
		if line == "" || scaleTitle.MatchString(line) {
			continue
		}
		found := scaleForm.FindStringSubmatch(line)
		if found == nil {
			return unknown(command, n, line)
		}
		usual := "0"
		if found[1] == "web" {
			usual = "1"
		}
		if found[2] != usual && !byFile && found[1] != "release" {
			l.formation(found[1], row{"quantity", found[2]})
		}
	}
	if byFile {
		l.stay("the scale of process types: app.json's formation decides it")
	}
	l.processProperties(r)
	return nil
}

// processProperties reads what ps:set has set. Of single process types only dokku-agent
// tells.
func (l *look) processProperties(r report) {
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		process, property, ok := strings.Cut(strings.TrimPrefix(key, "ps-"), ".")
		if names := map[string]string{"stop-timeout-seconds": "stop_timeout", "max-parallel": "max_parallel"}; ok && names[property] != "" && isNumber(r.values[key]) {
			l.formation(process, row{names[property], r.values[key]})
		}
	}
	for _, one := range []struct{ key, usual string }{{"restart-policy", "on-failure:10"}, {"stop-timeout-seconds", "30"}, {"procfile-path", "Procfile"}, {"keep-releases", ""}, {"keep-bytes", ""}} {
		if value := r.get(one.key); value != "" && value != one.usual {
			l.stay("ps:set " + l.app + " " + one.key + " " + value)
		}
	}
	if r.get("start-cmd") != "" { // a command line may hold anything
		l.stay("ps:set " + l.app + " start-cmd …")
	}
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// formation puts a setting of a process type into its block, if dokku.hcl takes it.
func (l *look) formation(process string, r row) {
	if l.takes("formation "+process+" "+r.key+" "+r.value, "formation "+quote(process)+" {\n  "+r.key+" = "+r.value+"\n}\n") {
		l.process[process] = append(l.process[process], r)
	}
}

// resources reads limits. Only those of a process type have a word in dokku.hcl.
func (l *look) resources(ctx context.Context) error {
	r, known, err := l.report(ctx, "resource:report", "resources", l.app)
	if err != nil || !known {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		value := r.values[key]
		found := resourceForm.FindStringSubmatch(strings.TrimPrefix(strings.TrimPrefix(key, "resources-"), "resource-"))
		if found == nil || value == "" {
			continue
		}
		process, kind, name := found[1], found[2], found[3]
		switch {
		case process != "_default_" && kind == "limit" && name == "memory":
			l.formation(process, row{"memory", quote(withUnit(value))})
		case process != "_default_" && kind == "limit" && name == "cpu":
			l.formation(process, row{"cpu", quote(value)})
		default:
			of := ""
			if process != "_default_" {
				of = " --process-type " + process
			}
			l.stay("resource:" + kind + " --" + name + " " + value + of + " " + l.app)
		}
	}
	return nil
}

// withUnit gives an amount of memory the unit that dokku.hcl wants: a bare number is
// mebibytes, or bytes where it is far too large for that.
func withUnit(value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return strings.ToLower(value)
	case n < 6<<20:
		return value + "m"
	case n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "m"
	}
	return value + "b"
}
