package command

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestReportsAsJSON: every report is one JSON object when it is asked for as JSON, and none
// takes a format that it does not know.
func TestReportsAsJSON(t *testing.T) {
	h, _ := newHost(t)
	set(t, h, "shop", func(now *agent.Settings) { now.Domains = []string{"a.example.com"} })
	deploy(t, h)
	for _, row := range Table() {
		if row.Name != "report" && !strings.HasSuffix(row.Name, ":report") {
			continue
		}
		line := row.Name
		if strings.Contains(row.Usage, "<app>") {
			line += " shop"
		}
		out, problem, err := do(t, Call{Host: h}, line+" --format json")
		var object map[string]any
		if err != nil || problem != "" || json.Unmarshal([]byte(out), &object) != nil || len(object) == 0 {
			t.Errorf("%s --format json: %v, %q, %q", line, err, problem, out)
		}
		refuses(t, h, line+" --format yaml", api.Usage, "Invalid format")
	}
}

// TestReportOfAll: the object has each noun's report as that noun's own command prints it.
func TestReportOfAll(t *testing.T) {
	h, _ := newHost(t)
	out, _, err := do(t, Call{Host: h}, "report --format json")
	var all map[string]json.RawMessage
	if err != nil || json.Unmarshal([]byte(out), &all) != nil || string(all["app"]) != `"shop"` {
		t.Fatalf("%v, %q", err, out)
	}
	for _, noun := range []string{"apps", "checks", "domains", "oidc", "ps", "signing"} {
		own, _, err := do(t, Call{Host: h, App: "shop"}, noun+":report --format json")
		if err != nil || strings.TrimSpace(own) != string(all[noun]) {
			t.Errorf("%s: %v, %q, want %q", noun, err, all[noun], own)
		}
	}
	reports := 1 // and the app's name
	for _, row := range Table() {
		if strings.HasSuffix(row.Name, ":report") {
			reports++
		}
	}
	if len(all) != reports {
		t.Errorf("%d reports, want %d: %q", len(all), reports, slices.Sorted(maps.Keys(all)))
	}
}
