package api

import (
	"fmt"
	"testing"
)

// TestFindingCodes: codes are numbered without a gap, in the order of the table, and every
// row says what it means.
func TestFindingCodes(t *testing.T) {
	for i, row := range DriftCodes() {
		if row.Code != fmt.Sprintf("D%03d", i+1) || row.Meaning == "" || row.Severity != Broken && row.Severity != Suspect || SeverityOf(row.Code) != row.Severity {
			t.Errorf("row %d of drift: %+v", i, row)
		}
	}
	for i, row := range HealthCodes() {
		if row.Code != fmt.Sprintf("H%03d", i+1) || row.Title == "" || row.Warning+row.Failure == "" || HealthTitle(row.Code) != row.Title {
			t.Errorf("row %d of doctor: %+v", i, row)
		}
	}
	if SeverityOf("D999") != Broken || HealthTitle("H999") != "H999" {
		t.Error("a code of tomorrow")
	}
	DriftCodes()[0].Code, HealthCodes()[0].Code = "changed", "changed"
	if DriftCodes()[0].Code == "changed" || HealthCodes()[0].Code == "changed" {
		t.Error("a caller can change a table")
	}
}

func TestDiagnosisCount(t *testing.T) {
	d := Diagnosis{Findings: []HealthFinding{{Level: HealthOK}, {Level: HealthFailure}, {Level: HealthOK}}}
	if d.Count(HealthOK) != 2 || d.Count(HealthFailure) != 1 || d.Count(HealthWarning) != 0 {
		t.Errorf("it counts %d, %d, %d", d.Count(HealthOK), d.Count(HealthFailure), d.Count(HealthWarning))
	}
}

func TestPlanChange(t *testing.T) {
	for want, change := range map[string]PlanChange{
		"add app":                     {Kind: "app", Action: Add},
		"change config COLOR: a → b":  {Kind: "config", Name: "COLOR", Action: Update, Before: "a", After: "b"},
		"add docker options build: x": {Kind: "docker_options", Name: "build", Action: Add, After: "x"},
		"remove domains: x (late)":    {Kind: "domains", Action: Remove, Before: "x", Note: "late"},
	} {
		if got := change.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPlanEmpty(t *testing.T) {
	if empty := (&Plan{App: "a", Exists: true, Current: 1, Next: 1, State: "s", Runs: []PlannedRun{{}}, Warnings: []string{"w"}, Ship: &PlannedShip{}}); !empty.Empty() {
		t.Error("a plan without a change is not empty")
	}
	for _, plan := range []Plan{{Changes: []PlanChange{{}}}, {Start: []string{"web.1"}}, {Retire: []string{"web.1"}}} {
		if plan.Empty() {
			t.Errorf("it does nothing: %+v", plan)
		}
	}
}
