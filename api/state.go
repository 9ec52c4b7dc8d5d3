package api

import (
	"fmt"
	"time"
)

// AppState is what a host can say of an app.
type AppState struct {
	App        string         `json:"app"`
	Exists     bool           `json:"exists"`
	Current    int            `json:"current,omitempty"`  // vN, 0 before the first deploy
	Releases   []Release      `json:"releases,omitempty"` // oldest first
	Scale      map[string]int `json:"scale,omitempty"`
	Containers []Container    `json:"containers,omitempty"`
	URLs       []string       `json:"urls,omitempty"`
	Lock       *Lock          `json:"lock,omitempty"`       // held by a deploy now
	Last       *Attempt       `json:"last,omitempty"`       // the last request, however it ended
	Unfinished string         `json:"unfinished,omitempty"` // a request that runs now or waits for recovery
	// Hash covers what DESIGN 6 calls the state: two equal hashes are the same state.
	Hash string `json:"hash"`
}

// Attempt is one request to change an app.
type Attempt struct {
	Request  string    `json:"request"`
	Document string    `json:"document"` // digest of the release document
	Started  time.Time `json:"started"`
	Verdict  *Verdict  `json:"verdict,omitempty"` // nil while it runs
}

// Release is one recorded release; it never changes once it is written, but for what became
// of the hooks that run afterwards.
type Release struct {
	Version     int            `json:"version"`
	Request     string         `json:"request"`
	Kind        string         `json:"kind"`  // deploy, rollback, config, scale, restart, rebuild, tag
	Built       string         `json:"built"` // config digest that was built
	Run         string         `json:"run"`   // config digest that runs
	Changed     []string       `json:"changed_by,omitempty"`
	Manifest    string         `json:"manifest,omitempty"`
	Builder     string         `json:"builder,omitempty"`
	Source      Source         `json:"source"`
	By          string         `json:"by"` // key name
	Fingerprint string         `json:"fingerprint,omitempty"`
	Started     time.Time      `json:"started"`
	Finished    time.Time      `json:"finished"`
	Steps       []StepTime     `json:"steps,omitempty"`
	Hooks       []HookResult   `json:"hooks,omitempty"` // in the order in which they began to run
	Formation   map[string]int `json:"formation,omitempty"`
	Domains     []string       `json:"domains,omitempty"`
	Ports       []string       `json:"ports,omitempty"`
	RollbackOf  int            `json:"rollback_of,omitempty"`
	// Image is the name that the image was deployed by: of a tag, or in a registry.
	Image string `json:"image,omitempty"`
	// PromotedFrom is the release whose image this is: "staging v7".
	PromotedFrom string `json:"promoted_from,omitempty"`
	// Signature is how the image and its document were signed, nil: they were not.
	Signature *Signature `json:"signature,omitempty"`
	Healthy   bool       `json:"healthy"`
	// HooksPending says that what runs after the commit has not ended, or never will because
	// its process was killed: Hooks are those from before it.
	HooksPending bool `json:"hooks_pending,omitempty"`
}

// StepTime is how long one step took.
type StepTime struct {
	Name       string `json:"name"`
	DurationMS int64  `json:"duration_ms"`
}

// HookResult is what became of a script of the app, or of the plugins of a trigger.
type HookResult struct {
	Name       string `json:"name"` // predeploy, release, postdeploy, heroku.postdeploy, or the trigger's
	DurationMS int64  `json:"duration_ms"`
	Error      string `json:"error,omitempty"` // one line; empty: it went well
}

// Container is one container of an app.
type Container struct {
	Name    string `json:"name"`    // APP.PROC.N
	Process string `json:"process"` // PROC
	Index   int    `json:"index"`   // N, from 1
	ID      string `json:"id"`
	Image   string `json:"image"`  // config digest
	Status  string `json:"status"` // running, exited, ...
}

// Lock says who deploys an app now.
type Lock struct {
	Key     string    `json:"key"`
	PID     int       `json:"pid"`
	Request string    `json:"request"`
	RunURL  string    `json:"run_url,omitempty"`
	Since   time.Time `json:"since"`
}

// String names the holder to those who wait for it.
func (l Lock) String() string {
	text := fmt.Sprintf("key %q (pid %d) since %s", l.Key, l.PID, l.Since.Format(time.RFC3339))
	if l.Request != "" { // else it is no deploy: a change of domains, the watch
		text = "request " + l.Request + " by " + text
	}
	if l.RunURL != "" {
		text += ", " + l.RunURL
	}
	return text
}
