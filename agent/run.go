package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// run is one change while it is carried out. Steps read what earlier ones found.
type run struct {
	*Host
	change  Change
	journal Journal
	begun   []begun
	times   []api.StepTime
	started time.Time

	current  *Record // the release that runs now; nil before the first
	from     *Record // the release whose image runs again; nil when a new one was sent
	recorded *Record // the release this change made
	version  int     // vN to be recorded
	urls     []string

	document                  api.ReleaseDocument
	procfileText, appJSONText string // the document's or the image's, or what core-post-extract made of them
	templateText              string // nginx.conf.sigil, the document's or the image's
	procfile                  *manifest.Procfile
	appJSON                   *manifest.AppJSON
	settings                  Settings          // after the settings step
	global                    map[string]string // the host's env
	image                     Image             // that will run, after all commits
	built                     string            // config digest that was built
	changedBy                 []string          // scripts and plugins that committed onto the image
	ports                     []PortMap
	engine                    EngineInfo     // asked for once, by the precheck
	signature                 *api.Signature // that came with the change, judged
	nonce                     string         // of its statement
	firstEver                 bool           // no release of this app was ever recorded
	planning                  bool           // only a plan is made: nothing may be written

	fresh []instance // created by this change
	kept  []instance // running already and staying
	old   []instance // to be retired after the commit
	exits map[string]<-chan Exit

	mu    sync.Mutex       // tell and hooked are called from parallel checks
	hooks []api.HookResult // since the change began, or since it was committed
}

// instance is one container of a process type.
type instance struct {
	Process string `json:"process"`
	Index   int    `json:"index"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Port    int    `json:"port"` // 0 for all but web
}

// label is what people call it: web.1.
func (i instance) label() string { return fmt.Sprintf("%s.%d", i.Process, i.Index) }

// finalName is the container's name once it is the current one.
func (i instance) finalName(app string) string { return app + "." + i.label() }

// builder is what the triggers call the source type.
func (r *run) builder() string { return sourceType(r.document.Builder) }

// sourceType is a builder as triggers are told it.
func sourceType(builder string) string {
	switch builder {
	case "pack", "herokuish":
		return builder
	}
	return "dockerfile"
}

// tag is the image tag that triggers are told.
const tag = "latest"

// imageName is the app's image name with a tag.
func imageName(app, tag string) string { return "dokku/" + app + ":" + tag }

func (r *run) mark(name, state string, undo any) error {
	var data json.RawMessage
	if undo != nil {
		text, err := json.Marshal(undo)
		if err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		data = text
	}
	if state == stateBegin {
		r.begun = append(r.begun, begun{name: name, undo: data})
	}
	entry := Entry{Time: time.Now(), Mark: &Mark{Step: name, State: state, Undo: data}}
	if err := r.journal.Write(entry); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// tell appends an event for the client. An event that cannot be written is not
// worth failing a deploy for: the next mark fails if the disk is full.
func (r *run) tell(event api.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	event.Time = time.Now()
	_ = r.journal.Note(Entry{Time: event.Time, Event: &event})
}

func (r *run) tellStep(s step, status api.StepStatus, took time.Duration, detail string) {
	r.tell(api.Event{Type: api.EventStep, Step: &api.Step{
		Name: s.name, Title: s.title, Status: status, DurationMS: took.Milliseconds(), Detail: detail}})
}

func (r *run) say(source, format string, args ...any) {
	r.tell(api.Event{Type: api.EventOutput, Output: &api.Output{Source: source, Text: fmt.Sprintf(format, args...)}})
}

func (r *run) warn(format string, args ...any) {
	r.tell(api.Event{Type: api.EventWarning, Warning: fmt.Sprintf(format, args...)})
}

// fire walks a trigger with the output shown to the client, each line under the
// trigger's name. A failure becomes an Error of the given code. What the core does in
// a trigger is nested in this change, as what plugins do is.
func (r *run) fire(ctx context.Context, code api.Code, name string, args ...string) error {
	out := &lines{say: upTo(mostSaid, func(line string) { r.say(name, "%s", line) })}
	defer out.flush()
	begun := time.Now()
	err := r.Host.trigger(Nested(ctx, r.change.Request), name, args, Streams{Out: out, Err: out})
	r.walked(name, begun, err)
	if err != nil {
		return api.Errorf(code, "run the trigger "+name, "%w", err).
			WithHint("fix or disable the plugin on the host (plugin:disable), then push again")
	}
	return nil
}

// ask walks a trigger and returns what it printed; stderr is shown.
func (r *run) ask(ctx context.Context, code api.Code, name string, args ...string) (string, error) {
	var answer limitedBuffer
	out := &lines{say: upTo(mostSaid, func(line string) { r.say(name, "%s", line) })}
	defer out.flush()
	begun := time.Now()
	if err := r.Host.trigger(Nested(ctx, r.change.Request), name, args, Streams{Out: &answer, Err: out}); err != nil {
		r.hooked(name, begun, err) // one that answers is no hook
		return "", api.Errorf(code, "run the trigger "+name, "%w", err).
			WithHint("fix or disable the plugin on the host (plugin:disable), then push again")
	}
	return answer.String(), nil
}
