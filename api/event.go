package api

import "time"

// EventType says which field of an Event is set.
type EventType string

// The event types. Removing every progress event changes nothing.
const (
	EventVersion  EventType = "version"
	EventStep     EventType = "step"
	EventOutput   EventType = "output"
	EventWarning  EventType = "warning"
	EventProgress EventType = "progress"
	EventPlan     EventType = "plan" // of the client: what the push is about to change
	EventVerdict  EventType = "verdict"
)

// Event is one line of an event stream.
type Event struct {
	Type     EventType `json:"type"`
	App      string    `json:"app,omitempty"` // of the client that deploys several at once: whose event it is
	Time     time.Time `json:"time"`
	Version  *Version  `json:"version,omitempty"`
	Step     *Step     `json:"step,omitempty"`
	Output   *Output   `json:"output,omitempty"`
	Warning  string    `json:"warning,omitempty"`
	Progress *Progress `json:"progress,omitempty"`
	Plan     *Plan     `json:"plan,omitempty"`
	Verdict  *Verdict  `json:"verdict,omitempty"`
}

// Version opens a stream.
type Version struct {
	Protocol int    `json:"protocol"`
	Request  string `json:"request"`
	App      string `json:"app"`
}

// StepStatus is where a step stands.
type StepStatus string

// The states of a step.
const (
	StepStarted StepStatus = "started"
	StepDone    StepStatus = "done"
	StepFailed  StepStatus = "failed"
	StepUndone  StepStatus = "undone"
)

// Step reports one step of a push or deploy.
type Step struct {
	Name       string     `json:"name"`  // stable: build, ship, fetch, settings, release, start, check, switch ...
	Title      string     `json:"title"` // for people: "Check web.1, worker.1"
	Status     StepStatus `json:"status"`
	DurationMS int64      `json:"duration_ms,omitempty"` // when done, failed or undone
	Detail     string     `json:"detail,omitempty"`
}

// Output is a line that a script, plugin, container or builder printed.
type Output struct {
	Source string `json:"source"` // predeploy, release, web.1, a plugin's name, build ...
	Text   string `json:"text"`   // one line, without its newline
}

// Progress counts bytes of one thing, usually a layer.
type Progress struct {
	Name  string `json:"name"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Note  string `json:"note,omitempty"` // "already there", "resumed at 12 MiB"
}

// Verdict closes a stream: what became of the request.
type Verdict struct {
	OK         bool     `json:"ok"`
	Changed    bool     `json:"changed"`           // false: the release asked for already runs
	Release    int      `json:"release,omitempty"` // vN that is current now
	Previous   int      `json:"previous,omitempty"`
	Built      string   `json:"built,omitempty"` // config digest of the image that was asked for
	Run        string   `json:"run,omitempty"`   // config digest of the image that runs
	URLs       []string `json:"urls,omitempty"`
	DurationMS int64    `json:"duration_ms,omitempty"`
	Sent       int64    `json:"bytes_sent,omitempty"` // on the wire, of layers; filled in by the client
	Error      *Error   `json:"error,omitempty"`      // nil only if all went well; with Code HookFailed OK is true
}
