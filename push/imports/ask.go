package imports

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/dokku-push/dokku-push/api"
)

// host asks a Dokku of some version.
type host struct {
	run  Command
	text bool // its reports have no --format json, which came with newer versions
}

func (h *host) command(ctx context.Context, argv ...string) (Answer, error) { return h.run(ctx, argv) }

// unknownCommand tells that this Dokku, or one without some plugin, lacks the command.
func (a Answer) unknownCommand() bool {
	return a.Exit != 0 && strings.Contains(a.Out+a.Err, " is not a dokku command")
}

// said is the complaint of a command that failed, on one line.
func (a Answer) said() string {
	for _, line := range append(lines(a.Err), lines(a.Out)...) {
		if line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "!")); line != "" {
			return clip(line)
		}
	}
	return "it said nothing"
}

// good is nil for a command that ended well.
func (a Answer) good(command string) error {
	if a.Exit == 0 {
		return nil
	}
	return api.Errorf(api.Precondition, "import", "%s failed (exit code %d): %s", command, a.Exit, a.said()).
		WithHint("the key must be allowed to read all of the app's settings")
}

// unknown refuses a line, counted from 0, that no version of Dokku is known to write.
func unknown(command string, n int, line string) error {
	return api.Errorf(api.WrongProtocol, "import", "%s answers in a form that is not known: line %d is %q", command, n+1, clip(line)).
		WithHint("nothing was written; ssh HOST %s shows the answer", command)
}

// unknownSecret is unknown for answers whose lines may hold secrets.
func unknownSecret(command string, n int) error {
	return api.Errorf(api.WrongProtocol, "import", "%s answers in a form that is not known: see its line %d", command, n+1).
		WithHint("nothing was written; ssh HOST %s shows the answer, secrets included", command)
}

func clip(line string) string {
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, line)
	if runes := []rune(line); len(runes) > 160 {
		return string(runes[:160]) + "…"
	}
	return line
}

// lines are a text's lines; a last line break begins no further one.
func lines(text string) []string {
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
}

// report is a noun's report: its values by the name of the flag that asks for one.
type report struct {
	noun   string
	values map[string]string
}

// get returns a value. JSON names it without the noun, text with it.
func (r report) get(key string) string {
	if value, ok := r.values[r.noun+"-"+key]; ok {
		return value
	}
	return r.values[key]
}

func (r report) has(key string) bool {
	_, long := r.values[r.noun+"-"+key]
	_, short := r.values[key]
	return long || short
}

// report asks for a noun's report on the app, or on the host where there is none. known is
// false where this Dokku has no such command.
func (h *host) report(ctx context.Context, command, noun, app string) (r report, known bool, err error) {
	subject, title := app, app
	if app == "" {
		subject, title = "--global", "Global"
	}
	full := command + " " + subject
	if !h.text {
		answer, err := h.command(ctx, command, subject, "--format", "json")
		if err != nil {
			return r, false, err
		}
		if answer.unknownCommand() {
			return r, false, nil
		}
		if answer.Exit == 0 && strings.HasPrefix(strings.TrimSpace(answer.Out), "{") {
			r, err = parseJSON(full+" --format json", noun, answer.Out)
			return r, true, err
		}
	}
	answer, err := h.command(ctx, command, subject)
	if err != nil || answer.unknownCommand() {
		return r, false, err
	}
	if err := answer.good(full); err != nil {
		return r, false, err
	}
	h.text = true
	r, err = parseReport(full, noun, title, answer.Out)
	return r, true, err
}

// must is report for what every Dokku has.
func (h *host) must(ctx context.Context, command, noun, app string) (report, error) {
	r, known, err := h.report(ctx, command, noun, app)
	if err == nil && !known {
		err = api.Errorf(api.Precondition, "import", "the host does not know %s", command).WithHint("import reads Dokku 0.11 and newer, and dokku-agent")
	}
	return r, err
}

// parseReport reads a report as people see it: a title, and a line a value.
func parseReport(command, noun, title, text string) (report, error) {
	r := report{noun: noun, values: map[string]string{}}
	titled := false
	for n, line := range lines(text) {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, " !     Deprecated") {
			continue
		}
		if heading, ok := strings.CutPrefix(line, "=====> "); ok && !titled && strings.HasPrefix(heading, title+" ") {
			titled = true
			continue
		}
		rest, indented := strings.CutPrefix(line, "       ")
		key, value, found := strings.Cut(strings.TrimSpace(rest), ":")
		if !titled || !indented || !found || key == "" {
			if noun == "docker-options" { // one may hold a password
				return r, unknownSecret(command, n)
			}
			return r, unknown(command, n, line)
		}
		r.values[strings.ToLower(strings.ReplaceAll(key, " ", "-"))] = strings.TrimSpace(value)
	}
	if !titled {
		return r, unknown(command, 0, "")
	}
	return r, nil
}

// parseJSON reads a report of newer Dokkus.
func parseJSON(command, noun, text string) (report, error) {
	r := report{noun: noun, values: map[string]string{}}
	var values map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&values) != nil || decoder.More() {
		return r, unknownSecret(command, 0)
	}
	for key, value := range values {
		switch value := value.(type) {
		case string:
			r.values[key] = strings.TrimSpace(value)
		case bool:
			r.values[key] = strconv.FormatBool(value)
		case json.Number:
			r.values[key] = value.String()
		case nil:
			r.values[key] = ""
		case []any:
			words := make([]string, len(value))
			for n, word := range value {
				words[n] = fmt.Sprint(word)
			}
			r.values[key] = strings.Join(words, " ")
		default:
			return r, unknown(command, 0, key)
		}
	}
	return r, nil
}
