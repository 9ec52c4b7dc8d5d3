package manifest

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// cron reads app.json's commands at times, with the rules that Dokku has for them.
func (r appJSONReader) cron(m member) {
	for _, element := range r.list(m.value, m.path) {
		entry := Cron{Concurrency: "allow"}
		r.fields(element.value, element.path, map[string]func(member){
			"command": func(m member) {
				entry.Command, _ = r.stringOf(m)
				if problem, hint := checkCronCommand(entry.Command); problem != "" {
					r.mistake(m.value.StartOffset, m.path+" "+problem, hint)
				}
			},
			"schedule": func(m member) {
				entry.Schedule, _ = r.stringOf(m)
				if problem, hint := checkSchedule(entry.Schedule); problem != "" {
					r.mistake(m.value.StartOffset, m.path+" "+problem, hint)
				}
			},
			"maintenance":        func(m member) { entry.Maintenance = r.boolean(m) },
			"concurrency_policy": func(m member) { entry.Concurrency = r.oneOf(m, "allow", "forbid", "replace") },
		})
		if entry.Command == "" || entry.Schedule == "" {
			r.mistake(element.at, element.path+" lacks a command or a schedule", "write { \"command\": \"./task\", \"schedule\": \"0 3 * * *\" }")
		}
		r.app.Cron = append(r.app.Cron, entry)
	}
}

// checkCronCommand takes a program and its words: no shell reads them on the host.
func checkCronCommand(command string) (problem, hint string) {
	const script = "put it into a script of the image and call that"
	switch {
	case strings.ContainsFunc(command, unicode.IsControl):
		return "holds a line break or a control character", script
	case strings.ContainsAny(command, ";&|<>`") || strings.Contains(command, "$("):
		return "holds an operator of the shell", script
	}
	return "", ""
}

// cronField is one of the five fields of a schedule.
type cronField struct {
	name      string
	low, high int
	words     []string // for low and up
}

func checkSchedule(text string) (problem, hint string) {
	const write = "write five fields, such as 0 3 * * * for three in the morning"
	if slices.Contains([]string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}, text) {
		return "", ""
	}
	fields := strings.Fields(text)
	if len(fields) != 5 || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) }) {
		return "is no schedule", write
	}
	for i, field := range [...]cronField{
		{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of the month", 1, 31, nil},
		{"month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
		{"day of the week", 0, 7, strings.Fields("sun mon tue wed thu fri sat")},
	} {
		if !field.takes(fields[i]) {
			return "has the " + field.name + " " + show(fields[i]),
				"write * or numbers from " + strconv.Itoa(field.low) + " to " + strconv.Itoa(field.high) + ", with , - and / between them"
		}
	}
	return "", ""
}

func (f cronField) takes(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1 || n > f.high) {
			return false
		}
		if span == "*" || span == "?" {
			continue
		}
		first, last, ranged := strings.Cut(span, "-")
		low, ok := f.number(first)
		if !ok {
			return false
		}
		if high, ok := f.number(last); ranged && (!ok || high < low) {
			return false
		}
	}
	return true
}

func (f cronField) number(text string) (int, bool) {
	if i := slices.Index(f.words, strings.ToLower(text)); i >= 0 {
		return f.low + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= f.low && n <= f.high && !strings.HasPrefix(text, "+")
}
