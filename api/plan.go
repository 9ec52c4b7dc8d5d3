package api

import "strings"

// PlanRequest is the body of POST /v1/apps/{app}/plan. It is answered with a Plan and
// changes nothing.
type PlanRequest struct {
	Document ReleaseDocument `json:"document"`
	// Exposed are the image's ports, "5000/tcp", for an image that the host has not.
	Exposed []string `json:"exposed,omitempty"`
	// Signed is what the release would be signed with.
	Signed *Signed `json:"signed,omitempty"`
}

// Plan is what a release would change on a host. Values of config are never in it.
type Plan struct {
	App     string `json:"app"`
	Server  string `json:"server,omitempty"` // instead of App: the server block that a host is to be made of
	Exists  bool   `json:"exists"`
	Current int    `json:"current,omitempty"` // vN, 0 before the first deploy
	Next    int    `json:"next,omitempty"`    // vN that it would become
	// Offline says that no host was asked: Changes are what the release consists of, compared
	// with nothing.
	Offline bool `json:"offline,omitempty"`
	// Environment is the environment block of dokku.hcl that counts; filled in by the client.
	Environment string `json:"environment,omitempty"`
	// State is the hash of the state that was looked at (DESIGN 6).
	State string `json:"state"`
	// Busy is a request that changes the app now, or waits to: the app is not going to stay
	// what was looked at.
	Busy string `json:"busy,omitempty"`
	// Document is the release document's fingerprint, made with a key of the host's
	// own: two equal ones ask for the same thing, and nothing can be guessed from one.
	Document string        `json:"document"`
	Changes  []PlanChange  `json:"changes,omitempty"`
	Nginx    string        `json:"nginx,omitempty"` // text diff of the app's nginx file
	Steps    []PlannedStep `json:"steps,omitempty"` // of the transaction, in order
	Runs     []PlannedRun  `json:"runs,omitempty"`  // triggers and scripts, in order
	Start    []string      `json:"start,omitempty"` // containers: web.1
	Retire   []string      `json:"retire,omitempty"`
	Ship     *PlannedShip  `json:"ship,omitempty"` // filled in by the client
	Warnings []string      `json:"warnings,omitempty"`
	// Refused is why the host would not take the release: its signature, or that it has none.
	Refused *Error   `json:"refused,omitempty"`
	URLs    []string `json:"urls,omitempty"` // where the app answers, or would
	// Decided says which builder makes the image, and which file decided that and more:
	// "dockerfile: there is a Dockerfile", "project.toml: build.builder". Filled in by the client.
	Decided []string `json:"decided,omitempty"`
}

// Empty tells that applying the plan would do nothing at all.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 && len(p.Start) == 0 && len(p.Retire) == 0 }

// Action is what happens to one thing.
type Action string

// The actions of a plan.
const (
	Add    Action = "add"
	Update Action = "change"
	Remove Action = "remove"
)

// PlanChange is one thing that would change.
type PlanChange struct {
	// Kind is app, image, config, formation, domains, ports, checks, storage, docker_options,
	// nginx, resources, service, procfile, app_json or nginx_template.
	Kind   string `json:"kind"`
	Name   string `json:"name,omitempty"` // of the one thing, where a kind has several
	Action Action `json:"action"`
	// Before and After are values; for config they are fingerprints.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Note   string `json:"note,omitempty"`
}

// String is the change in one line.
func (c PlanChange) String() string {
	text := string(c.Action) + " " + strings.ReplaceAll(c.Kind, "_", " ")
	if c.Name != "" {
		text += " " + c.Name
	}
	switch {
	case c.Before != "" && c.After != "":
		text += ": " + c.Before + " → " + c.After
	case c.After != "":
		text += ": " + c.After
	case c.Before != "":
		text += ": " + c.Before
	}
	if c.Note != "" {
		text += " (" + c.Note + ")"
	}
	return text
}

// PlannedRun is a script of the app or a trigger that a plugin ships.
type PlannedRun struct {
	Kind    string   `json:"kind"` // trigger or script
	Name    string   `json:"name"`
	Plugins []string `json:"plugins,omitempty"`
	Command string   `json:"command,omitempty"` // of a script
	// Final says that what it does cannot be undone by a failing deploy.
	Final bool `json:"final,omitempty"`
}

// String is the run in one line.
func (r PlannedRun) String() string {
	text := r.Kind + " " + r.Name
	if len(r.Plugins) > 0 {
		text += " (" + strings.Join(r.Plugins, ", ") + ")"
	}
	if r.Command != "" {
		text += ": " + r.Command
	}
	return text
}

// PlannedStep is one step of the transaction.
type PlannedStep struct {
	Name  string `json:"name"` // as in events
	Title string `json:"title"`
	// Undone says that the step changes something which is taken back when a later one fails.
	Undone bool `json:"undone"`
}

// PlannedShip is what would be sent.
type PlannedShip struct {
	Layers  int   `json:"layers"`  // to send
	Present int   `json:"present"` // already there
	Bytes   int64 `json:"bytes"`   // of the layers to send
}
