package report

import (
	"slices"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Accounts collects the events of one push, or of several apps' at once, for what is
// written when it is over: CI's outputs, its summary, a result file.
type Accounts struct {
	mu  sync.Mutex
	all []*Account
}

// Account is what became of one app.
type Account struct {
	App         string        `json:"app"`
	Environment string        `json:"environment,omitempty"`
	Request     string        `json:"request,omitempty"` // id of the request on the host
	Plan        *api.Plan     `json:"plan,omitempty"`
	Steps       []AccountStep `json:"steps"`
	Warnings    []string      `json:"warnings,omitempty"`
	Skipped     string        `json:"skipped,omitempty"` // why nothing was to be done
	Verdict     *api.Verdict  `json:"verdict,omitempty"` // nil: it was only planned

	key   string        // as events have it; empty: of one app
	begun time.Time     // the first event's time, of the client
	last  time.Time     // the last event's time, of the client
	ahead time.Duration // by which the host's clock is
}

// AccountStep is a step and when it ran.
type AccountStep struct {
	Name       string         `json:"name"`
	Title      string         `json:"title"`
	Status     api.StepStatus `json:"status"`
	StartMS    int64          `json:"start_ms"` // after the first event
	DurationMS int64          `json:"duration_ms"`
	Detail     string         `json:"detail,omitempty"`
}

// Event takes an event in.
func (a *Accounts) Event(event api.Event) {
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(event.App).take(event)
}

// Close ends nothing: what was collected stays.
func (a *Accounts) Close() {}

// All are the accounts, in the order in which they began.
func (a *Accounts) All() (all []Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.all {
		all = append(all, *one)
	}
	return all
}

// Failed tells that some app's verdict says why it failed, or what failed after it.
func (a *Accounts) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.all, func(one *Account) bool { return one.problem() != nil })
}

// Took is how long it took from the first event to the last, of several apps the longest:
// what duration_ms says.
func (a *Accounts) Took() (longest time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.all {
		longest = max(longest, one.last.Sub(one.begun))
	}
	return longest
}

func (a *Accounts) of(key string) *Account {
	i := slices.IndexFunc(a.all, func(one *Account) bool { return one.key == key })
	if i < 0 {
		i = len(a.all)
		a.all = append(a.all, &Account{key: key, App: key, Steps: []AccountStep{}})
	}
	return a.all[i]
}

// take keeps what an event says.
func (a *Account) take(event api.Event) {
	at := a.clock(event)
	switch {
	case event.Version != nil:
		a.Request, a.App = event.Version.Request, firstText(a.App, event.Version.App)
	case event.Plan != nil:
		a.Plan, a.App, a.Environment = event.Plan, firstText(a.App, event.Plan.App), event.Plan.Environment
	case event.Step != nil:
		a.step(*event.Step, at)
	case event.Warning != "":
		a.Warnings = append(a.Warnings, event.Warning)
	case event.Output != nil && event.Output.Source == "skipped":
		a.Skipped = event.Output.Text
	case event.Verdict != nil:
		a.Verdict = event.Verdict
	}
}

// clock is an event's time by the client's clock. What the host says begins with its
// version, which comes right after the last that happened here.
func (a *Account) clock(event api.Event) time.Time {
	if a.begun.IsZero() {
		a.begun, a.last = event.Time, event.Time
	}
	if event.Version != nil {
		a.ahead = event.Time.Sub(a.last)
	}
	at := event.Time.Add(-a.ahead)
	if at.After(a.last) {
		a.last = at
	}
	return at
}

// step keeps how a step began or ended.
func (a *Account) step(step api.Step, at time.Time) {
	took := time.Duration(step.DurationMS) * time.Millisecond
	one := AccountStep{Name: step.Name, Title: step.Title, Status: step.Status, StartMS: max(0, at.Add(-took).Sub(a.begun).Milliseconds()), DurationMS: step.DurationMS, Detail: step.Detail}
	if step.Status == api.StepDone || step.Status == api.StepFailed {
		i := slices.IndexFunc(a.Steps, func(s AccountStep) bool { return s.Name == step.Name && s.Status == api.StepStarted })
		if i >= 0 {
			a.Steps[i] = one
			return
		}
	}
	a.Steps = append(a.Steps, one)
}

// failedStep is the step that failed first; nil: none did.
func (a *Account) failedStep() *AccountStep {
	for i := range a.Steps {
		if a.Steps[i].Status == api.StepFailed {
			return &a.Steps[i]
		}
	}
	return nil
}

// undone tells that something had been changed and was taken back.
func (a *Account) undone() bool {
	if a.Verdict == nil || a.Verdict.OK || a.Verdict.Error == nil || a.Verdict.Error.Code == api.UndoFailed {
		return false
	}
	return slices.ContainsFunc(a.Steps, func(s AccountStep) bool { return s.Status == api.StepUndone })
}

// problem is why it did not go well; nil: it did.
func (a *Account) problem() *api.Error {
	if a.Verdict == nil {
		return nil
	}
	return a.Verdict.Error
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// Both gives every event to each of the renderers.
func Both(renderers ...Renderer) Renderer { return both(renderers) }

type both []Renderer

func (b both) Event(event api.Event) {
	for _, one := range b {
		one.Event(event)
	}
}

func (b both) Close() {
	for _, one := range b {
		one.Close()
	}
}
