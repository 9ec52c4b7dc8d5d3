package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// signs stand before a change.
var signs = map[api.Action]string{api.Add: "+", api.Update: "~", api.Remove: "-"}

// shortPlan is what a push says before it begins: a line a change.
func shortPlan(plan api.Plan) string {
	var text strings.Builder
	fmt.Fprintf(&text, "-----> Plan for %s: %s", clean(plan.App+plan.Server), summary(plan))
	for _, change := range plan.Changes {
		fmt.Fprintf(&text, "\n       %s %s", signs[change.Action], clean(sentence(change)))
	}
	for _, warning := range plan.Warnings {
		fmt.Fprintf(&text, "\n !     %s", clean(warning))
	}
	return text.String()
}

// summary is a plan in a few words.
func summary(plan api.Plan) string {
	if plan.Server != "" {
		if plan.Empty() {
			return "the host is so already"
		}
		return count(len(plan.Changes), "change")
	}
	if plan.Offline {
		return "built here and compared with no host: what a release would consist of"
	}
	if plan.Empty() {
		return fmt.Sprintf("v%d runs this already: no layer to send, no container to start", plan.Current)
	}
	words := []string{fmt.Sprintf("v%d", plan.Next), count(len(plan.Changes), "change")}
	if plan.Current != 0 {
		words[0] = fmt.Sprintf("v%d → v%d", plan.Current, plan.Next)
	}
	if plan.Ship != nil {
		words = append(words, fmt.Sprintf("%s (%d bytes) to send", count(plan.Ship.Layers, "layer"), plan.Ship.Bytes))
	}
	words = append(words, fmt.Sprintf("%s to start, %d to retire", count(len(plan.Start), "container"), len(plan.Retire)))
	return strings.Join(words, ", ")
}

func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// sentence is a change with digests as short as people read them.
func sentence(change api.PlanChange) string {
	const digits = len("sha256:") + 12
	for _, value := range []*string{&change.Before, &change.After} {
		if strings.HasPrefix(*value, "sha256:") && len(*value) > digits {
			*value = (*value)[:digits]
		}
	}
	return change.String()
}

// Plan writes all that a plan says, for people.
func Plan(out io.Writer, plan api.Plan) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\n", clean(plan.App+plan.Server), summary(plan))
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&text, "\n%s\n", title)
		for _, line := range lines {
			fmt.Fprintf(&text, "  %s\n", clean(line))
		}
	}
	section("Built by", plan.Decided)
	var changes, runs, steps []string
	for _, change := range plan.Changes {
		changes = append(changes, signs[change.Action]+" "+sentence(change))
	}
	section("Changes", changes)
	if plan.Nginx != "" {
		section("nginx.conf", strings.Split(strings.TrimRight(plan.Nginx, "\n"), "\n"))
	}
	for _, one := range plan.Runs {
		runs = append(runs, runLine(one))
	}
	section("Runs, in this order", runs)
	for _, one := range plan.Steps {
		line := one.Title
		if one.Undone {
			line += "  (undone when a later step fails)"
		}
		steps = append(steps, line)
	}
	section("Steps on the host", steps)
	if len(plan.Start)+len(plan.Retire) > 0 {
		section("Containers", []string{"start:  " + orNone(plan.Start), "retire: " + orNone(plan.Retire)})
	}
	section("Warnings", plan.Warnings)
	_, err := io.WriteString(out, text.String())
	return err
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func runLine(one api.PlannedRun) string {
	text := one.String()
	if one.Final {
		text += "  [cannot be undone]"
	}
	return text
}
