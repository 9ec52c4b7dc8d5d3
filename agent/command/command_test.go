package command

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
)

// engine has containers that somebody else made, and runs one command.
type engine struct {
	agent.Containers
	agent.Images
	list    []agent.Container
	created *agent.ContainerSpec
	exit    int
}

func (e *engine) List(context.Context, map[string]string) ([]agent.Container, error) {
	return e.list, nil
}

func (e *engine) Names(context.Context, string) ([]string, error) { return nil, nil }

func (e *engine) Image(_ context.Context, ref string) (agent.Image, error) {
	return agent.Image{ID: ref}, nil
}

func (e *engine) Create(_ context.Context, spec agent.ContainerSpec) (string, error) {
	e.created = &spec
	return "id", nil
}

func (e *engine) Run(_ context.Context, _ string, streams agent.Streams) (int, error) {
	_, err := streams.Out.Write([]byte("ran\n"))
	return e.exit, err
}

func (e *engine) Remove(context.Context, string) error { return nil }

// silent are no plugins at all.
type silent struct{}

func (silent) Trigger(context.Context, string, []string, agent.Streams) error { return nil }
func (silent) Ships(string) []string                                          { return nil }
func (silent) Has(string) bool                                                { return false }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newHost has the app "shop", which was never deployed.
func newHost(t *testing.T) (*agent.Host, *engine) {
	t.Helper()
	dir := t.TempDir()
	files := &state.Store{Places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}}
	must(t, files.Create("shop"))
	e := &engine{}
	return &agent.Host{Places: files.Places, Settings: files, Ledger: files, Walk: silent{}, Containers: e, Images: e, Blobs: &store.Store{Dir: t.TempDir()}, Version: "1.2.3"}, e
}

// set changes the settings of an app.
func set(t *testing.T, h *agent.Host, app string, change func(*agent.Settings)) {
	t.Helper()
	_, _, err := h.Settings.Change(app, func(now *agent.Settings) error { change(now); return nil })
	must(t, err)
}

// deploy records v1 as if it had been deployed.
func deploy(t *testing.T, h *agent.Host) {
	t.Helper()
	settings, err := h.Settings.Read("shop")
	must(t, err)
	must(t, h.Ledger.Save("shop", agent.Record{Release: api.Release{Version: 1, Run: "sha256:image1"}, Settings: settings}))
	must(t, h.Ledger.SetCurrent("shop", 1))
}

// do carries a command out as it stands in the table.
func do(t *testing.T, call Call, line string) (out, problem string, err error) {
	t.Helper()
	return doWithin(context.Background(), t, call, line)
}

func doWithin(ctx context.Context, t *testing.T, call Call, line string) (out, problem string, err error) {
	t.Helper()
	words, err := agent.SplitWords(line)
	must(t, err)
	var stdout, stderr bytes.Buffer
	call.Args, call.Out, call.Err = words[1:], &stdout, &stderr
	if call.In == nil {
		call.In = strings.NewReader("")
	}
	for _, row := range Table() {
		if row.Name == words[0] {
			err = row.Do(ctx, &call)
			return stdout.String(), stderr.String(), err
		}
	}
	t.Fatalf("there is no %s", words[0])
	return "", "", nil
}

func prints(t *testing.T, h *agent.Host, line, want string) {
	t.Helper()
	out, problem, err := do(t, Call{Host: h}, line)
	if diff := cmp.Diff(want, out); diff != "" || err != nil || problem != "" {
		t.Errorf("%s: %v, %q\n%s", line, err, problem, diff)
	}
}

// refuses returns nothing but the error, and changes nothing.
func refuses(t *testing.T, h *agent.Host, line string, code api.Code, message string) {
	t.Helper()
	before, err := h.Settings.Read("shop")
	must(t, err)
	out, _, err := do(t, Call{Host: h, Submit: func(context.Context, agent.Change) error { return errors.New("submitted") }}, line)
	problem := api.AsError(err)
	if err == nil || problem.Code != code || !strings.Contains(problem.Message, message) || out != "" {
		t.Errorf("%s: %v, %q; want %s %q", line, err, out, code, message)
	}
	after, err := h.Settings.Read("shop")
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%s changes:\n%s", line, diff)
	}
}

func TestTable(t *testing.T) {
	var names []string
	for _, row := range Table() {
		if strings.Contains(row.Usage, ",") {
			t.Errorf("%s: help's columns are cut at a comma: %s", row.Name, row.Usage)
		}
		names = append(names, row.Name)
		if row.Do == nil || row.Help == "" {
			t.Errorf("%s has no text or does nothing", row.Name)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("not sorted, or one is twice: %q", names)
	}
}

// TestPrintEnv: a value stays on its line and in its column: plugins read them.
func TestPrintEnv(t *testing.T) {
	h, _ := newHost(t)
	prints(t, h, "config:show shop", "=====> shop env vars\n")
	set(t, h, "shop", func(now *agent.Settings) {
		now.Env = map[string]string{"A": "1", "LONG_NAME": "two words", "KEY": "a\nb\n", "EMPTY": "", "QUOTE": `'"$x\`}
	})
	prints(t, h, "config:show shop", "=====> shop env vars\n"+
		"A:          1\n"+"EMPTY:      \n"+`KEY:        a\nb\n`+"\n"+"LONG_NAME:  two words\n"+`QUOTE:      '"$x\`+"\n")
	prints(t, h, "config:get shop KEY", "a\nb\n\n")
	prints(t, h, "config:get --quoted shop QUOTE", `''\''"$x\'`+"\n")
	prints(t, h, "config:set --no-restart shop NEW=1 ALSO=2", "-----> Setting config vars\n       ALSO:  2\n       NEW:   1\n")
	prints(t, h, "config:unset --no-restart shop NEW NONE", "-----> Unsetting NEW\n-----> Unsetting NONE\n")
	prints(t, h, "config:set --no-restart --encoded shop KEY=YQpi", "-----> Setting config vars\n       KEY:  a\\nb\n")
	prints(t, h, "config:get shop KEY", "a\nb\n")
}

func TestReports(t *testing.T) {
	h, e := newHost(t)
	set(t, h, "--global", func(now *agent.Settings) { now.Domains = []string{"example.com"} })
	prints(t, h, "domains:report shop", `=====> shop domains information
       Domains app enabled:           false
       Domains app vhosts:            `+`
       Domains global enabled:        true
       Domains global vhosts:         example.com
`)
	prints(t, h, "ps:report shop", `=====> shop ps information
       Deployed:                      false
       Processes:                     0
       Ps can scale:                  true
       Ps restart policy:             on-failure:10
       Ps stop timeout seconds:       `+`
       Ps procfile path:              `+`
       Ps start cmd:                  `+`
       Ps computed keep bytes:        `+`
       Ps global keep bytes:          `+`
       Ps keep bytes:                 `+`
       Ps computed keep releases:     5
       Ps global keep releases:       5
       Ps keep releases:              `+`
       Restore:                       true
       Running:                       false
`)
	container := func(process, dyno, status string) agent.Container {
		return agent.Container{ID: dyno + "-0123456789abcdef", Name: "shop." + dyno, Status: status, Running: status == "running",
			Labels: map[string]string{"com.dokku.process-type": process, "com.dokku.dyno": dyno}}
	}
	e.list = []agent.Container{container("web", "web.1", "running"), container("worker", "worker.1", "exited")}
	set(t, h, "shop", func(now *agent.Settings) {
		now.Properties["ps/restart-policy"], now.Properties["ps/restore"], now.Domains = "always", "false", []string{"a.example.com", "b.example.com"}
		now.AppJSON = `{"formation":{"web":{"quantity":1}}}`
	})
	deploy(t, h)
	prints(t, h, "ps:report shop", `=====> shop ps information
       Deployed:                      true
       Processes:                     2
       Ps can scale:                  false
       Ps restart policy:             always
       Ps stop timeout seconds:       `+`
       Ps procfile path:              `+`
       Ps start cmd:                  `+`
       Ps computed keep bytes:        `+`
       Ps global keep bytes:          `+`
       Ps keep bytes:                 `+`
       Ps computed keep releases:     5
       Ps global keep releases:       5
       Ps keep releases:              `+`
       Restore:                       false
       Running:                       mixed
       Status web 1:                  running (CID: web.1-012345)
       Status worker 1:               exited (CID: worker.1-012)
`)
	prints(t, h, "ps:report shop --status-worker-1", "exited (CID: worker.1-012)\n")
	prints(t, h, "domains:report --domains-app-vhosts shop", "a.example.com b.example.com\n")
	prints(t, h, "urls shop", "http://a.example.com\nhttp://b.example.com\n")
	prints(t, h, "url shop", "http://a.example.com\n")
	out, _, err := do(t, Call{Host: h, Quiet: true, App: "shop"}, "domains:report")
	if err != nil || !strings.HasPrefix(out, "       Domains app enabled:") {
		t.Errorf("quiet: %v, %q", err, out)
	}
	refuses(t, h, "ps:report shop --nonsense", api.Usage, "valid flags: --deployed, --processes")
	refuses(t, h, "ps:report other", api.NotFound, "App other does not exist")
}

func TestRefused(t *testing.T) {
	h, _ := newHost(t)
	set(t, h, "shop", func(now *agent.Settings) { now.Env["A"], now.Scale["web"] = "1", 1 })
	for line, want := range map[string]string{
		"config:set shop":                           "At least one env pair",
		"config:set shop A":                         "Invalid env pair: A",
		"config:set shop B=1 C":                     "Invalid env pair: C",
		"config:set shop =1":                        "",
		"config:set shop 'A B=1'":                   "",
		"config:set shop 'A\nB=1'":                  "",
		"config:set shop 1A=1":                      "",
		"config:set --encoded shop A=*":             "the value of A is not base64",
		"config:set --encoded shop A=AA==":          "the value of A holds a NUL",
		"config:set shop A=" + long(128<<10+1):      "the value of A is longer than 128 KiB",
		"config:set --no-restart":                   "Please specify an app",
		"config:unset shop":                         "At least one key",
		"config:get shop":                           "Expected: key",
		"config:get shop A B":                       "Expected: key",
		"ps:scale shop web":                         `"web" is not PROCESS=COUNT`,
		"ps:scale shop web=":                        "the count of web",
		"ps:scale shop web=-1":                      "the count of web",
		"ps:scale shop web=1001":                    "the count of web",
		"ps:scale shop web=01":                      "the count of web",
		"ps:scale shop web=+1":                      "the count of web",
		"ps:scale shop web=1.5":                     "the count of web",
		"ps:scale shop web=1 web=2":                 "web is scaled twice",
		"ps:scale shop 'a b=1'":                     "",
		"ps:scale shop ../x=1":                      "",
		"domains:add shop":                          "Please specify a domain",
		"tags:create shop":                          "Please specify a tag",
		"tags:create shop a b":                      "Please specify a tag",
		"tags:create shop a/b":                      "is no image tag",
		"tags:create shop -a":                       "is no image tag",
		"tags:create shop " + long(129):             "is no image tag",
		"tags:create shop latest":                   "belongs to the releases",
		"tags:create shop v12":                      "belongs to the releases",
		"tags:destroy shop v1":                      "belongs to the releases",
		"logs shop -n 0":                            "-n wants a number of lines",
		"logs shop -n x":                            "-n wants a number of lines",
		"logs shop --num=x":                         "-n wants a number of lines",
		"logs shop -n":                              "-n wants a value",
		"logs shop --nonsense":                      "unknown flag --nonsense",
		"ps:restart --parallel many shop":           `--parallel wants a number, not "many"`,
		"run shop":                                  "No command specified",
		"run -e A shop env":                         "Invalid env pair: A",
		"run --privileged shop env":                 "unknown flag --privileged",
		"apps:create":                               "Please specify an app",
		"apps:destroy shop":                         "Confirmation did not match shop",
		"config:show":                               "Please specify an app",
		"config:set shop A=1 --app-json-is-no-flag": "Invalid env pair",
	} {
		refuses(t, h, line, api.Usage, want)
	}
	for line, want := range map[string]string{"logs shop": "has not been deployed", "run shop env": "has not been deployed", "url shop": "has no domains"} {
		refuses(t, h, line, api.Precondition, want)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// TestScale: what is not deployed yet is only written down; app.json's formation wins.
func TestScale(t *testing.T) {
	h, _ := newHost(t)
	prints(t, h, "ps:scale shop web=2 worker=0", "-----> Scaling shop processes: web=2 worker=0\n")
	prints(t, h, "ps:scale shop", "-----> Scaling for shop\nproctype: qty\n--------: ---\nweb:  2\nworker:  0\n")
	deploy(t, h)
	prints(t, h, "ps:scale --skip-deploy shop worker=1000", "-----> Scaling shop processes: worker=1000\n")
	var submitted agent.Change
	_, _, err := do(t, Call{Host: h, By: agent.Caller{Name: "alice"}, Submit: func(_ context.Context, change agent.Change) error {
		submitted = change
		return errors.New("submitted")
	}}, "ps:scale shop web=3")
	if err == nil || submitted.Kind != agent.Scale || !maps.Equal(submitted.Scale, map[string]int{"web": 3}) || submitted.By.Name != "alice" || !agent.ValidRequest(submitted.Request) {
		t.Errorf("%v, %+v", err, submitted)
	}
	set(t, h, "shop", func(now *agent.Settings) { now.AppJSON = `{"formation":{"web":{"quantity":1}}}` })
	refuses(t, h, "ps:scale shop web=4", api.Precondition, "cannot be manually scaled")
}

// TestRun: env and words reach the container as they are, the exit code comes back.
func TestRun(t *testing.T) {
	h, e := newHost(t)
	set(t, h, "--global", func(now *agent.Settings) { now.Env = map[string]string{"G": "global", "A": "global"} })
	set(t, h, "shop", func(now *agent.Settings) {
		now.Env, now.Procfile = map[string]string{"A": "app", "B": "app"}, "web: serve\nconsole: irb -r ./app\nshell: exec sh\n"
	})
	deploy(t, h)
	run := func(line string, want ...string) *agent.ContainerSpec {
		t.Helper()
		out, _, err := do(t, Call{Host: h}, line)
		if diff := cmp.Diff(want, e.created.Cmd); diff != "" || err != nil || out != "ran\n" {
			t.Errorf("%s: %v, %q\n%s", line, err, out, diff)
		}
		return e.created
	}
	spec := run("run -e B=call --env=C=x=y --no-tty shop echo 'a b' '$A'", "echo", "a b", "$A")
	delete(spec.Env, "DYNO")
	if diff := cmp.Diff(map[string]string{"G": "global", "A": "app", "B": "call", "C": "x=y"}, spec.Env); diff != "" || spec.Image != "sha256:image1" {
		t.Errorf("%s\n%s", spec.Image, diff)
	}
	run("run shop console", "irb", "-r", "./app")
	run("run shop shell", "/bin/sh", "-c", "exec sh")
	run("run shop console x", "console", "x")
	e.exit = 3
	_, _, err := do(t, Call{Host: h}, "run shop false")
	if exit, ok := errors.AsType[*Exit](err); !ok || exit.Code != 3 {
		t.Errorf("got %v", err)
	}
}

// TestApply shows a deploy in Dokku's words, and what a container said before it failed.
func TestApply(t *testing.T) {
	h, _ := newHost(t)
	deploy(t, h)
	journal := func(verdict api.Verdict) func(context.Context, agent.Change) error {
		return func(_ context.Context, change agent.Change) error {
			j, _, err := h.Ledger.Begin(change.App, change.Request)
			must(t, err)
			for _, event := range []api.Event{
				{Step: &api.Step{Title: "Start the containers", Status: api.StepStarted}}, {Output: &api.Output{Source: "web.1", Text: "hello"}},
				{Step: &api.Step{Title: "Start the containers", Status: api.StepDone}}, {Warning: "careful"}, {Progress: &api.Progress{Name: "layer"}},
				{Step: &api.Step{Title: "Start the containers", Status: api.StepUndone}}, {Verdict: &verdict},
			} {
				must(t, j.Write(agent.Entry{Event: &event}))
			}
			return j.Close()
		}
	}
	shown := "-----> Restarting shop\n-----> Start the containers\n       web.1: hello\n-----> Undone: Start the containers\n"
	out, problem, err := do(t, Call{Host: h, Submit: journal(api.Verdict{OK: true, URLs: []string{"http://a.example.com"}})}, "ps:restart shop")
	if diff := cmp.Diff([]string{shown + "=====> Application deployed:\n       http://a.example.com\n\n", " !     careful\n"}, []string{out, problem}); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	failure := &api.Error{Code: api.Unhealthy, Op: "check web.1", Message: "no", Failure: &api.Failure{Container: "web.1", ExitCode: 137, OOMKilled: true, LastLines: []string{"a", "b"}}}
	out, problem, err = do(t, Call{Host: h, Submit: journal(api.Verdict{Error: failure})}, "ps:restart shop")
	want := " !     careful\n=====> Start of web.1 container output\n       a\n       b\n=====> End of web.1 container output (exit code 137, out of memory: true)\n"
	if diff := cmp.Diff([]string{shown, want}, []string{out, problem}); diff != "" || api.AsError(err).Code != api.Unhealthy {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestConfirm: an app goes only when its name was typed.
func TestConfirm(t *testing.T) {
	for _, typed := range []string{"", "\n", "sho\n", "shop x\n", "SHOP\n", "y\n"} {
		h, _ := newHost(t)
		_, problem, err := do(t, Call{Host: h, In: strings.NewReader(typed)}, "apps:destroy shop")
		if err == nil || !strings.Contains(problem, `To proceed, type "shop"`) || h.Exists("shop") != nil {
			t.Errorf("%q: %v, %q", typed, err, problem)
		}
	}
}
