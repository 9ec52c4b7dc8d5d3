package push

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

var idForm = regexp.MustCompile(`^[a-z0-9-]{8,64}$`)

// TestPush is one push from the folder to the verdict.
func TestPush(t *testing.T) {
	agent := newAgent(t)
	o, events, image := agent.shop(t, map[string]string{"Procfile": "web: ./server $PORT\n", "app.json": "{\"name\": \"shop\"}\n",
		"dokku.hcl": "config {\n  COLOR = \"red\"\n}\nsecrets = [\"TOKEN\"]\ndomains = []\n"})
	o.Getenv = variables(map[string]string{"TOKEN": "token-canary", "CI_COMMIT": strings.Repeat("ab", 20), "CI_BRANCH": "main", "CI_JOB_URL": "https://ci/7"})
	o.LockWait = 90 * time.Second
	verdict, err := Push(t.Context(), o)
	if err != nil || !verdict.OK || verdict.Release != 2 || !slices.Equal(verdict.URLs, []string{"http://shop.example.com"}) {
		t.Fatalf("verdict %+v, %v", verdict, err)
	}
	if diff := cmp.Diff("GET /v1/hello\nGET /v1/apps/shop\nPOST /v1/apps/shop/plan\nPOST /v1/apps/shop/releases", agent.said()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	want := []string{"connect started", "connect done", "build started", "output", "build done", "plan", "ship started", "ship done", "version", "start started", "output", "verdict"}
	if diff := cmp.Diff(want, events.story()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	id, _ := image.ConfigName()
	digest, _ := image.Digest()
	request := api.ReleaseRequest{LockWait: 90, Document: api.ReleaseDocument{Image: api.Image{ID: id.String(), Manifest: digest.String()}, Builder: "image",
		Source:   api.Source{Revision: strings.Repeat("ab", 20), Branch: "main", RunURL: "https://ci/7"},
		Procfile: "web: ./server $PORT\n", AppJSON: "{\"name\": \"shop\"}\n", Config: map[string]string{"COLOR": "red", "TOKEN": "token-canary"}, Secrets: []string{"TOKEN"},
		Declared: &api.Declared{Domains: &[]string{}}}}
	if diff := cmp.Diff([]api.ReleaseRequest{request}, agent.released); diff != "" {
		t.Errorf("the release (-want +got):\n%s", diff)
	}
	if !idForm.MatchString(agent.ids[0]) || agent.states[0] != "" {
		t.Errorf("the id %q, the state %q", agent.ids[0], agent.states[0])
	}
	planned := api.PlanRequest{Document: request.Document, Exposed: []string{"5000/tcp", "9000/tcp"}}
	planned.Document.Image.Manifest = "" // it is not sent anywhere yet
	if diff := cmp.Diff([]api.PlanRequest{planned}, agent.planned); diff != "" {
		t.Errorf("the plan's request (-want +got):\n%s", diff)
	}
	if agent.uploads != 3 { // two layers and the config
		t.Errorf("%d uploads", agent.uploads)
	}
	for _, event := range events.events {
		if event.Plan != nil && (event.Plan.Ship == nil || event.Plan.Ship.Layers != 2 || event.Plan.Ship.Present != 0) {
			t.Errorf("the plan's shipment: %+v", event.Plan.Ship)
		}
	}

	// Once more: what is there is not sent again, and the request is another one.
	if _, err := Push(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if agent.uploads != 3 || len(agent.ids) != 2 || agent.ids[0] == agent.ids[1] {
		t.Errorf("the second push: %d uploads, ids %q", agent.uploads, agent.ids)
	}
}

// TestPushLosesTheConnection: the client asks again with the same id, and hears every
// event once.
func TestPushLosesTheConnection(t *testing.T) {
	agent := newAgent(t)
	cut := live()
	cut.cut = 2
	agent.answers = []answer{cut}
	o, events, _ := agent.shop(t, nil)
	verdict, err := Push(t.Context(), o)
	if err != nil || verdict.Release != 2 || len(agent.ids) != 1 {
		t.Fatalf("verdict %+v, %v, ids %q", verdict, err, agent.ids)
	}
	if !strings.HasSuffix(agent.said(), "\nGET /v1/apps/shop/releases/"+agent.ids[0]) {
		t.Errorf("it did not ask again:\n%s", agent.said())
	}
	story := events.story()
	if diff := cmp.Diff([]string{"version", "start started", "output", "verdict"}, story[len(story)-4:]); diff != "" || strings.Count(strings.Join(story, ","), "version") != 1 {
		t.Errorf("events %q:\n%s", story, diff)
	}
}

// TestPushUnchanged: nothing is sent and no release asked for, and a reader of the events
// finds a verdict all the same.
func TestPushUnchanged(t *testing.T) {
	agent := newAgent(t)
	agent.plan.Changes, agent.plan.Start, agent.plan.URLs = nil, nil, []string{"http://shop.example.com"}
	o, events, image := agent.shop(t, nil)
	verdict, err := Push(t.Context(), o)
	id, _ := image.ConfigName()
	want := api.Verdict{OK: true, Release: 1, Built: id.String(), Run: id.String(), URLs: agent.plan.URLs}
	if diff := cmp.Diff(want, verdict); diff != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	if agent.uploads != 0 || len(agent.ids) != 0 {
		t.Errorf("%d uploads, ids %q", agent.uploads, agent.ids)
	}
	if asked := agent.said(); strings.Count(asked, "\n")+1 > 3 {
		t.Errorf("more than three round trips:\n%s", asked)
	}
	story := events.story()
	if diff := cmp.Diff([]string{"plan", "verdict"}, story[max(0, len(story)-2):]); diff != "" {
		t.Errorf("the last events of %q:\n%s", story, diff)
	}
}

// TestPushUnchangedWhileAnotherDeploys: what runs is about to be replaced, so the release is
// asked for all the same, and the host says who is at it.
func TestPushUnchangedWhileAnotherDeploys(t *testing.T) {
	agent := newAgent(t)
	agent.plan.Changes, agent.plan.Start, agent.plan.Busy = nil, nil, "request-of-another"
	agent.answers = []answer{{events: []api.Event{live().events[0], verdict(api.Verdict{Error: &api.Error{Code: api.Locked, Message: "another deploys"}})}}}
	o, _, _ := agent.shop(t, nil)
	verdict, err := Push(t.Context(), o)
	if err != nil || api.Exit(verdict.Error) != 75 || len(agent.ids) != 1 {
		t.Errorf("verdict %+v, %v; ids %q", verdict, err, agent.ids)
	}
}

// TestPushIsAskedForLayers: what the engine wants is sent once more, under a new request;
// a verdict that only asks for layers is no outcome, and nobody hears it.
func TestPushIsAskedForLayers(t *testing.T) {
	agent := newAgent(t)
	o, events, image := agent.shop(t, nil)
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	gone, _ := layers[0].Digest()
	wanting := answer{events: []api.Event{live().events[0], verdict(api.Verdict{Error: &api.Error{Code: api.BlobsMissing, Message: "gone", Missing: []string{gone.String()}}})}}
	agent.answers = []answer{wanting, live()}
	result, err := Push(t.Context(), o)
	if err != nil || !result.OK || agent.uploads != 4 || len(agent.ids) != 2 || agent.ids[0] == agent.ids[1] {
		t.Errorf("verdict %+v, %v; %d uploads, ids %q", result, err, agent.uploads, agent.ids)
	}
	if len(agent.released) < 2 {
		t.FailNow()
	}
	if diff := cmp.Diff(agent.released[0], agent.released[1]); diff != "" {
		t.Errorf("the second request asks for something else:\n%s", diff)
	}
	if n := strings.Count(strings.Join(events.story(), ","), "verdict"); n != 1 {
		t.Errorf("%d verdicts: %q", n, events.story())
	}

	agent.answers = []answer{wanting}
	before := len(agent.ids)
	result, err = Push(t.Context(), o)
	if err != nil || result.OK || api.Exit(result.Error) != 21 || len(agent.ids)-before != resends+1 {
		t.Errorf("a host that is never content: verdict %+v, %v after %d requests", result, err, len(agent.ids)-before)
	}
	if story := events.story(); story[len(story)-1] != "verdict" {
		t.Errorf("it ends without a verdict: %q", story)
	}
}

// TestPushRefused: who may not deploy, and who speaks another protocol, learns it before
// anything is built.
func TestPushRefused(t *testing.T) {
	agent := newAgent(t)
	o, events, _ := agent.shop(t, nil)
	agent.refuse = &api.Error{Code: api.Refused, Message: "not yours"}
	_, err := Push(t.Context(), o)
	if api.Exit(err) != 77 || !strings.Contains(err.Error(), "not yours") {
		t.Errorf("a key that may not: %v", err)
	}
	agent.refuse, agent.hello.Protocol = nil, api.Protocol+1
	if _, err := Push(t.Context(), o); api.Exit(err) != 76 || !strings.Contains(api.AsError(err).Hint, "dokku-push here") {
		t.Errorf("a newer agent: %v", err)
	}
	agent.hello.Protocol = 0
	if _, err := Push(t.Context(), o); api.Exit(err) != 76 || !strings.Contains(api.AsError(err).Hint, "dokku-agent on the host") {
		t.Errorf("an older agent: %v", err)
	}
	if story := strings.Join(events.story(), ","); strings.Contains(story, "build") || len(agent.planned) != 0 {
		t.Errorf("something was built: %s", story)
	}
	if !strings.HasSuffix(strings.Join(events.story(), ","), "connect started,connect failed") {
		t.Errorf("the step does not fail: %q", events.story())
	}
}

// TestPushSecretsMissing: the names are told, all of them, and no value of another.
func TestPushSecretsMissing(t *testing.T) {
	agent := newAgent(t)
	o, _, _ := agent.shop(t, map[string]string{"dokku.hcl": "secrets = [\"ONE\", \"TWO\", \"THREE\"]\n"})
	o.Getenv = variables(map[string]string{"TWO": "two-canary", "HOME": t.TempDir()})
	_, err := Push(t.Context(), o)
	if api.Exit(err) != 78 || !strings.Contains(err.Error(), "ONE") || !strings.Contains(err.Error(), "THREE") ||
		strings.Contains(err.Error(), "TWO") || strings.Contains(err.Error(), "canary") || api.AsError(err).Hint == "" {
		t.Errorf("it says %v", err)
	}
	if len(agent.planned)+agent.uploads+len(agent.ids) != 0 {
		t.Error("the host was asked for something")
	}
}

// TestPushPlan: a plan that was looked at is carried out as it is, under the state that it
// was made for, or not at all.
func TestPushPlan(t *testing.T) {
	agent := newAgent(t)
	o, events, _ := agent.shop(t, nil)
	o.Plan = filepath.Join(t.TempDir(), "plan.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(o.Plan, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"app": "shop", "state": "state-1", "document": "document-1", "current": 1, "changes": [{"kind": "image", "action": "change"}]}`)
	if v, err := Push(t.Context(), o); err != nil || !v.OK || len(agent.states) != 1 || agent.states[0] != `"state-1"` {
		t.Fatalf("the plan as it was: %+v, %v, %q", v, err, agent.states)
	}
	asked, uploads := len(agent.ids), agent.uploads
	for text, words := range map[string][]string{
		`{"app": "shop", "state": "state-0", "document": "document-1", "current": 4}`: {"the host has changed", "v1 is live now, not v4", "not in the plan: change image"},
		`{"app": "shop", "state": "state-1", "document": "document-0", "current": 1}`: {"what is to be deployed has changed"},
		`{"app": "blog", "state": "state-1", "document": "document-1"}`:               {"for the app blog, this is shop"},
	} {
		write(text)
		_, err := Push(t.Context(), o)
		for _, word := range words {
			if api.Exit(err) != 28 || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: it does not say %q: %v", text, word, err)
			}
		}
	}
	for _, text := range []string{"", "{}", "[]", `{"app": "shop"}`} {
		write(text)
		if _, err := Push(t.Context(), o); api.Exit(err) != 64 {
			t.Errorf("%q is no plan: %v", text, err)
		}
	}
	if len(agent.ids) != asked || agent.uploads != uploads {
		t.Errorf("something was deployed: %q", events.story())
	}
}

// TestPushCancelled: who stops waits until the host has undone what it began.
func TestPushCancelled(t *testing.T) {
	for _, test := range []struct {
		cancel  api.Verdict
		unknown int // how often the host does not know of it yet
		exit    int
		want    string
	}{
		{api.Verdict{Error: &api.Error{Code: api.Cancelled, Message: "m"}}, 0, 27, "cancelled; the host is as it was"},
		{api.Verdict{Error: &api.Error{Code: api.Cancelled, Message: "m"}}, 2, 27, "cancelled; the host is as it was"},
		{api.Verdict{OK: true, Release: 2}, 0, 27, "too late: release v2 is live"},
		{api.Verdict{Error: &api.Error{Code: api.UndoFailed, Message: "the map is half"}}, 0, 29, "the map is half"},
	} {
		agent := newAgent(t)
		o, _, _ := agent.shop(t, nil)
		agent.cancel, agent.unknown = test.cancel, test.unknown
		there := make(chan struct{})
		agent.answers = []answer{{events: live().events, hang: there}}
		ctx, stop := context.WithCancelCause(t.Context())
		go func() { // it ends with the push
			<-there
			stop(errors.New("interrupt"))
		}()
		verdict, err := Push(ctx, o)
		if verdict.Error != nil { // one that is the host's
			if err != nil || verdict.OK != test.cancel.OK || verdict.Release != test.cancel.Release {
				t.Errorf("the verdict is %+v, %v", verdict, err)
			}
			err = verdict.Error
		}
		if api.Exit(err) != test.exit || !strings.Contains(err.Error(), test.want) {
			t.Errorf("it says %v", err)
		}
		if diff := cmp.Diff(agent.ids, agent.cancelled); diff != "" || len(agent.ids) != 1 {
			t.Errorf("ids %q, cancelled %q", agent.ids, agent.cancelled)
		}
	}
}

// TestPushCancelledUndone: what was cancelled while the host was at it is told to be undone;
// where it had only looked, or waited for the lock, there was nothing to undo.
func TestPushCancelledUndone(t *testing.T) {
	for step, want := range map[string]bool{"start": true, "prepare": false, "": false} {
		agent := newAgent(t)
		o, events, _ := agent.shop(t, nil)
		agent.cancel = api.Verdict{Error: &api.Error{Code: api.Cancelled, Message: "m"}}
		story := live().events[:2]
		if story[1].Step.Name = step; step == "" {
			story = story[:1]
		}
		agent.answers = []answer{{events: append(story, api.Event{}), hang: make(chan struct{})}}
		ctx, stop := context.WithCancelCause(t.Context())
		o.Report = func(event api.Event) {
			events.report(event)
			if event.Step != nil && event.Step.Name == step && step != "" || event.Version != nil && step == "" {
				stop(errors.New("interrupt"))
			}
		}
		if _, err := Push(ctx, o); api.Exit(err) != 27 {
			t.Errorf("%q: %v", step, err)
		}
		undone := slices.ContainsFunc(events.events, func(e api.Event) bool { return e.Step != nil && e.Step.Status == api.StepUndone })
		if undone != want {
			t.Errorf("cancelled in the step %q: undone %t", step, undone)
		}
	}
}

// TestPlanWarnsOfTheDisk: before layers are sent to a host that has hardly room for them.
func TestPlanWarnsOfTheDisk(t *testing.T) {
	for free, warned := range map[int64]bool{0: false, api.ReservedDisk: true, 1 << 40: false} { // 0: it is not known
		agent := newAgent(t)
		agent.hello.Free = free
		o, events, _ := agent.shop(t, nil)
		if _, err := Push(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		for _, event := range events.events {
			if event.Plan != nil && strings.Contains(strings.Join(event.Plan.Warnings, "\n"), "disk: ") != warned {
				t.Errorf("%d bytes free: %q", free, event.Plan.Warnings)
			}
		}
		if !strings.Contains(strings.Join(events.story(), " "), "plan") {
			t.Error("there is no plan")
		}
	}
}

// TestPushJoined: who stops a push that had joined a deploy which runs already leaves that
// one alone, is told so, and does not hear that it was undone.
func TestPushJoined(t *testing.T) {
	agent := newAgent(t)
	o, events, _ := agent.shop(t, nil)
	joined := live().events
	joined[0].Version = &api.Version{Protocol: api.Protocol, App: "shop", Request: "request-of-another"}
	agent.answers = []answer{{events: joined, hang: make(chan struct{})}}
	ctx, stop := context.WithCancelCause(t.Context())
	o.Report = func(event api.Event) {
		events.report(event)
		if event.Version != nil {
			stop(errors.New("interrupt"))
		}
	}
	_, err := Push(ctx, o)
	if err == nil || api.Exit(err) == 27 || len(agent.cancelled) != 0 {
		t.Errorf("it says %v, cancelled %q", err, agent.cancelled)
	}
	if last := events.events[len(events.events)-1]; !strings.Contains(last.Warning, "request-of-another goes on") {
		t.Errorf("the last event is %+v", last)
	}
}

func TestNewRequest(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, err := api.NewRequest()
		if err != nil || !idForm.MatchString(id) || seen[id] {
			t.Fatalf("the id %q: %v", id, err)
		}
		seen[id] = true
	}
}
