package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/dokku-push/dokku-push/api"
)

// maxComment is what GitHub takes as a comment, in characters.
const maxComment = 65536

// PlanMarkdown writes a plan as a pull request's comment: what changes as a diff, the rest
// folded. It is never longer than GitHub takes; what does not fit is said to be missing. Its
// first line is the same for each plan of the app and environment, so that a later one can
// take the comment's place.
func PlanMarkdown(out io.Writer, plan api.Plan) error {
	page := &sheet{left: maxComment}
	name := code(plan.App + plan.Server)
	if plan.Environment != "" {
		name += ", environment " + code(plan.Environment)
	}
	page.text(marker(plan) + "\n### Plan for " + name + "\n\n" + prose(summary(plan)) + "\n")
	planBody(page, plan)
	_, err := io.WriteString(out, page.said.String())
	return err
}

// marker is a line that is not shown.
func marker(plan api.Plan) string {
	text := "<!-- dokku-push plan of " + comment(plan.App+plan.Server)
	if plan.Environment != "" {
		text += " in " + comment(plan.Environment)
	}
	return text + " -->"
}

// planBody is what a plan changes, as far as it fits.
func planBody(page *sheet, plan api.Plan) {
	if len(plan.Warnings) > 0 {
		page.text("\n")
		for _, warning := range plan.Warnings {
			page.text("> ⚠️ " + prose(warning) + "  \n")
		}
	}
	var changes, runs, steps []string
	for _, change := range plan.Changes {
		sign := map[api.Action]string{api.Add: "+ ", api.Remove: "- "}[change.Action]
		changes = append(changes, firstText(sign, "! ")+sentence(change))
	}
	for _, one := range plan.Runs {
		runs = append(runs, runLine(one))
	}
	for _, one := range plan.Steps {
		steps = append(steps, one.Title)
	}
	page.block("", "diff", changes)
	if plan.Nginx != "" {
		page.block("nginx.conf", "diff", strings.Split(strings.TrimRight(plan.Nginx, "\n"), "\n"))
	}
	page.block("Runs, in this order", "text", runs)
	page.block("Steps on the host", "text", steps)
	if len(plan.Start)+len(plan.Retire) > 0 {
		page.block("Containers", "text", []string{"start:  " + orNone(plan.Start), "retire: " + orNone(plan.Retire)})
	}
	page.block("Built by", "text", plan.Decided)
}

// sheet is Markdown of a bounded size, in characters. Nothing is cut within a block's fence.
type sheet struct {
	said strings.Builder
	left int
	full bool
}

// reserve is kept for the fence of a block and for saying that something is missing.
const reserve = 400

// text writes a piece, or nothing of it.
func (p *sheet) text(piece string) bool {
	n := utf8.RuneCountInString(piece)
	if n > p.left-reserve/2 {
		if !p.full {
			p.full = true
			p.said.WriteString("\n_There is more than fits here._\n")
		}
		return false
	}
	p.left -= n
	p.said.WriteString(piece)
	return true
}

// block writes lines between fences that none of them can end, folded below a title.
func (p *sheet) block(title, language string, rows []string) {
	if len(rows) == 0 || p.full {
		return
	}
	kept, room := []string{}, p.left-2*reserve
	fence := "```"
	for _, row := range rows {
		row = clean(row)
		for strings.Contains(row, fence) {
			fence += "`"
		}
		if room -= utf8.RuneCountInString(row) + 1; room < 0 {
			break
		}
		kept = append(kept, row)
	}
	if missing := len(rows) - len(kept); missing > 0 {
		kept = append(kept, fmt.Sprintf("… %d more lines", missing))
	}
	open, end := "\n", ""
	if title != "" {
		open, end = "\n<details><summary>"+title+"</summary>\n\n", "\n</details>\n"
	}
	p.text(open + fence + language + "\n" + strings.Join(kept, "\n") + "\n" + fence + "\n" + end)
}

// special are the characters that mean something in Markdown or in HTML.
const special = "\\`*_[]<>#!|~&@$"

// prose is a line of text that is nothing but text: no markup, no link, nobody notified.
func prose(text string) string {
	// Mentions and references are made after Markdown is read, of entities, too.
	return strings.NewReplacer("&#64;", "&#64;\u200b", "&#35;", "&#35;\u200b").Replace(escaped(text))
}

// code is a short text as code.
func code(text string) string { return "<code>" + escaped(text) + "</code>" }

func escaped(text string) string {
	var safe strings.Builder
	for _, c := range clean(strings.ReplaceAll(text, "\n", " ")) {
		if strings.ContainsRune(special, c) {
			fmt.Fprintf(&safe, "&#%d;", c)
		} else {
			safe.WriteRune(c)
		}
	}
	return strings.ReplaceAll(safe.String(), "://", "&#58;//")
}

// comment is what may stand in an HTML comment.
func comment(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '.' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '-'
	}, text)
}
