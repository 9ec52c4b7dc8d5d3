package report

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dokku-push/dokku-push/api"
)

// maxSummary is what GitHub takes as the summary of one step, in bytes.
const maxSummary = 1 << 20

// AppendSummary adds to the file that $GITHUB_STEP_SUMMARY names what became of each app.
func AppendSummary(path string, accounts []Account) error {
	room := maxSummary
	if info, err := os.Stat(path); err == nil {
		room -= int(min(info.Size(), maxSummary))
	}
	text := Summary(accounts, room)
	if text == "" {
		return nil
	}
	return appendFile(path, text)
}

// Summary is a page on what became of each app, in Markdown and of at most so many bytes:
// the outcome, why it failed, what changed, and how long each step took.
func Summary(accounts []Account, room int) string {
	page := &sheet{left: room / utf8.UTFMax} // it counts characters
	if page.left < reserve {
		return ""
	}
	for _, account := range accounts {
		if account.Plan == nil && account.Verdict == nil && len(account.Steps) == 0 && account.Skipped == "" {
			continue
		}
		account.write(page)
	}
	return page.said.String()
}

func (a *Account) write(p *sheet) {
	state, note := "planned", ""
	switch {
	case a.Verdict != nil:
		state, note = verdictWords(*a.Verdict)
	case a.Skipped != "":
		state, note = "skipped", a.Skipped
	}
	mark := map[string]string{"failed": "❌", "planned": "📋", "skipped": "⏭️"}[state]
	p.text(fmt.Sprintf("\n## %s %s: %s\n\n", firstText(mark, "✅"), code(firstText(a.App, "the push")), state))
	a.table(p)
	a.failure(p)
	for _, warning := range a.Warnings[:min(len(a.Warnings), 20)] {
		p.text("> ⚠️ " + prose(warning) + "  \n")
	}
	if a.Verdict == nil && note != "" {
		p.text("\n" + prose(note) + "\n")
	}
	a.gantt(p)
	if a.Plan != nil {
		p.text("\n### Plan\n\n" + prose(summary(*a.Plan)) + "\n")
		planBody(p, *a.Plan)
	}
}

// table is who, what and where.
func (a *Account) table(p *sheet) {
	var rows [][2]string
	row := func(what, text string) {
		if text != "" {
			rows = append(rows, [2]string{what, text})
		}
	}
	coded := func(text string) string {
		if text == "" {
			return ""
		}
		return code(text)
	}
	row("App", coded(a.App))
	row("Environment", coded(a.Environment))
	if v := a.Verdict; v != nil {
		if v.Release != 0 && v.OK {
			row("Version", fmt.Sprintf("v%d", v.Release))
		} else if v.Release != 0 {
			row("Version", fmt.Sprintf("v%d, as before", v.Release))
		}
		row("Digest", coded(firstText(v.Run, v.Built)))
		for _, url := range v.URLs {
			row("URL", link(url))
		}
		if v.Sent > 0 {
			row("Sent", fmt.Sprintf("%d bytes", v.Sent))
		}
	}
	if took := a.last.Sub(a.begun).Round(time.Millisecond); took > 0 {
		row("Took", took.String())
	}
	row("Request", coded(a.Request))
	p.text("| | |\n|---|---|\n")
	for _, one := range rows {
		p.text("| " + one[0] + " | " + one[1] + " |\n")
	}
}

// link is a URL that can be followed, if it is one.
func link(url string) string {
	plain := strings.Trim(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/") == ""
	if plain && (strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")) {
		return "<" + url + ">"
	}
	return code(url)
}

// failure is what failed, why, what to do, and the container's last lines.
func (a *Account) failure(p *sheet) {
	problem := a.problem()
	if problem == nil {
		return
	}
	p.text("\n### " + prose(strings.ReplaceAll(string(problem.Code), "_", " ")) + fmt.Sprintf(" (exit %d)\n\n", api.Exit(problem)))
	if step := a.failedStep(); step != nil {
		p.text("In the step **" + prose(step.Title) + "**:\n\n")
	}
	if at := problem.Place; at != nil {
		p.text(code(fmt.Sprintf("%s:%d", at.File, at.Line)) + "\n")
	}
	if found := asMistakes(problem); len(found) > 0 {
		for _, d := range found {
			p.text("- " + prose(d.String()) + "\n")
		}
		return
	}
	for text := range strings.SplitSeq(problem.Error(), "\n") {
		p.text(prose(text) + "  \n")
	}
	if problem.Hint != "" {
		p.text("\n**What to do:** " + prose(problem.Hint) + "\n")
	}
	if f := problem.Failure; f != nil {
		p.text(fmt.Sprintf("\n%s: %s\n", code(f.Container), stateOf(f)))
		rows := slices.Clone(f.LastLines)
		for i := range rows {
			if len(rows[i]) > longest {
				rows[i] = strings.ToValidUTF8(rows[i][:longest], "") + " …"
			}
		}
		p.block("", "text", rows)
	}
}

// gantt is when each step ran.
func (a *Account) gantt(p *sheet) {
	var rows []string
	most := int64(0)
	for _, step := range a.Steps {
		if step.Status != api.StepDone && step.Status != api.StepFailed {
			continue
		}
		mark := ""
		if step.Status == api.StepFailed {
			mark = "crit, "
		}
		end := step.StartMS + max(step.DurationMS, 1)
		most = max(most, end)
		rows = append(rows, fmt.Sprintf("    %s (%s) :%s%d, %d", task(step.Title), time.Duration(step.DurationMS)*time.Millisecond, mark, step.StartMS, end))
	}
	if len(rows) == 0 {
		return
	}
	axis := "%S.%L"
	if most > 60_000 {
		axis = "%M:%S"
	}
	rows = append([]string{"gantt", "    dateFormat x", "    axisFormat " + axis}, rows...)
	p.block("", "mermaid", rows)
}

// task is a title that Mermaid takes for nothing else.
func task(title string) string {
	const most = 60
	title = strings.Map(func(c rune) rune {
		if c == ' ' || c == '.' || c == '-' || c == '_' || c == '/' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return ' '
	}, title)
	if title = strings.Join(strings.Fields(title), " "); len(title) > most {
		title = title[:most]
	}
	return firstText(title, "step")
}
