package core

import (
	"bytes"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/triggers"
	"github.com/dokku-push/dokku-push/triggers/shim"
)

// engine has one image and the containers of one app.
type engine struct {
	agent.Containers
	agent.Images
	list []agent.Container
}

func (e *engine) List(_ context.Context, labels map[string]string) ([]agent.Container, error) {
	return slices.DeleteFunc(slices.Clone(e.list), func(c agent.Container) bool {
		return c.Labels["com.dokku.app-name"] != labels["com.dokku.app-name"]
	}), nil
}

func (e *engine) Inspect(_ context.Context, ref string) (agent.Container, error) {
	for _, c := range e.list {
		if c.ID == ref {
			return c, nil
		}
	}
	return agent.Container{}, agent.ErrNotFound
}

func (e *engine) Image(_ context.Context, ref string) (agent.Image, error) {
	if ref != "dokku/shop:latest" {
		return agent.Image{}, agent.ErrNotFound
	}
	return agent.Image{ID: "sha256:1", Labels: map[string]string{"io.buildpacks.stack.id": "x"}}, nil
}

// plain is traffic without a map.
type plain struct{ agent.Traffic }

func (plain) Listeners(_ context.Context, _ string, backends []agent.Backend) ([]string, error) {
	var all []string
	for _, one := range backends {
		all = append(all, one.Address+":5000")
	}
	return all, nil
}

// asked walks the core's own part and the plugins of the tree.
type asked struct{ *triggers.Walk }

func (w asked) Trigger(ctx context.Context, name string, args []string, streams agent.Streams) error {
	return w.Walk.Trigger(ctx, name, args, triggers.Streams{In: streams.In, Out: streams.Out, Err: streams.Err})
}

// newCore has the app shop with a web container, and the app idle that was never deployed.
func newCore(t *testing.T) Core {
	t.Helper()
	dir := t.TempDir()
	files := &state.Store{Places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}}
	must(t, files.Create("shop"))
	must(t, files.Create("idle"))
	_, _, err := files.Change("shop", func(now *agent.Settings) error {
		now.Env = map[string]string{"A": "it's", "B": "two\nlines"}
		now.Domains = []string{"shop.example.com", "www.example.com"}
		now.Scale = map[string]int{"web": 1, "worker": 2}
		now.Ports = []string{"http:80:5000", "https:443:5000"}
		now.Procfile = "web: serve --port $PORT\n"
		maps.Copy(now.Properties, map[string]string{"docker-options/_default_.deploy": "--link a:b\n-v /x:/y", "checks/disabled": "worker",
			"ps/stop-timeout-seconds": "9", "resource/web.limit.memory": "64"})
		return nil
	})
	must(t, err)
	_, _, err = files.Change("--global", func(now *agent.Settings) error {
		now.Env, now.Domains = map[string]string{"A": "global", "G": "1"}, []string{"example.com"}
		return nil
	})
	must(t, err)
	must(t, files.Save("shop", agent.Record{Release: api.Release{Version: 1, Run: "sha256:1"}}))
	must(t, files.SetCurrent("shop", 1))
	web := agent.Container{ID: "web1", Name: "shop.web.1", Status: "running", Running: true, Address: "172.17.0.2",
		Env: []string{"PORT=5000"}, Labels: map[string]string{"com.dokku.app-name": "shop", "com.dokku.dyno": "web.1"}}
	worker := agent.Container{ID: "worker1", Name: "shop.worker.1", Status: "exited", Labels: map[string]string{"com.dokku.app-name": "shop", "com.dokku.dyno": "worker.1"}}
	e := &engine{list: []agent.Container{worker, web}}
	host := &agent.Host{Places: files.Places, Settings: files, Ledger: files, Containers: e, Images: e, Traffic: plain{},
		Proxy: &nginx.Nginx{Places: files.Places}, Version: "1.2.3"}
	c := Core{Host: host}
	host.Walk = asked{&triggers.Walk{Path: files.Places.Plugins(), Core: c.Handlers()}}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// function asks as a plugin does.
func function(t *testing.T, c Core, line, stdin string) (code int, out, problem string) {
	t.Helper()
	words, err := agent.SplitWords(line)
	must(t, err)
	var stdout, stderr bytes.Buffer
	code = c.Function(context.Background(), words, []string{"DOKKU_APP_NAME=other"}, Streams{In: strings.NewReader(stdin), Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

// TestProtocol: every function of the protocol has an answer, and there is no other.
func TestProtocol(t *testing.T) {
	var want []string
	for _, one := range shim.Functions() {
		want = append(want, one.Name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(functions()))); diff != "" {
		t.Error(diff)
	}
	if code, out, problem := function(t, newCore(t), "no_such_thing x", ""); code != 127 || out != "" || !strings.HasPrefix(problem, " !     ") {
		t.Errorf("%d %q %q", code, out, problem)
	}
}

// TestCatalogue: the core answers every trigger of its part of the catalogue, at the place
// of a plugin that it has on the disk.
func TestCatalogue(t *testing.T) {
	answered := map[string]bool{}
	for plugin, acts := range queries() {
		for trigger := range acts {
			if answered[trigger] {
				t.Errorf("%s is answered twice, again by %s", trigger, plugin)
			}
			answered[trigger] = true
		}
	}
	for trigger := range unanswered() {
		if answered[trigger] {
			t.Errorf("%s is both answered and not", trigger)
		}
		answered[trigger] = true
	}
	for _, one := range triggers.Core() {
		if !answered[one.Name] {
			t.Errorf("nobody answers %s", one.Name)
		}
		delete(answered, one.Name)
	}
	delete(answered, "domains-add") // plugins ship it too
	delete(answered, "receive-app") // and build what git knows nothing of
	for trigger := range answered {
		t.Errorf("%s is answered and is not the core's", trigger)
	}
	for _, acts := range requests() {
		for trigger := range acts {
			if _, known := triggers.Lookup(trigger); !known {
				t.Errorf("%s is in no catalogue", trigger)
			}
		}
	}
}

// TestFunctions: exact answers. Where nothing is said of stderr it is empty for 0 and 1 that
// answer, and one of Dokku's complaints otherwise.
func TestFunctions(t *testing.T) {
	for _, test := range []struct {
		line, stdin string
		code        int
		out         string
		says        string // on stderr
	}{
		{line: "verify_app_name shop"},
		{line: "verify_app_name nobody", code: 20, says: "App nobody does not exist"},
		{line: "verify_app_name ''", code: 20, says: "Please specify an app to run the command on"},
		{line: "is_valid_app_name shop-1"},
		{line: "is_valid_app_name sh_op", code: 1, says: "sh_op"},
		{line: "is_valid_app_name --old sh_op"},
		{line: "dokku_apps", out: "idle\nshop\n"},
		{line: "dokku_apps false", out: "idle\nshop\n"},
		{line: "is_deployed shop"},
		{line: "is_deployed idle", code: 1},
		{line: "is_deployed nobody", code: 1},
		{line: "get_app_scheduler shop", out: "docker-local\n"},
		{line: "dokku_version", out: "1.2.3\n"},
		{line: "get_app_image_repo shop", out: "dokku/shop\n"},
		{line: "get_running_image_tag shop", out: "latest\n"},
		{line: "get_running_image_tag shop v2", out: "v2\n"},
		{line: "get_app_image_name idle", out: "dokku/idle:latest\n"},
		{line: "get_app_image_name shop latest", out: "dokku/shop:latest\n"},
		{line: "get_app_image_name shop v9", code: 1, says: "App image (dokku/shop:v9) not found"},
		{line: "get_app_image_name shop '' mine", code: 1, says: "App image (mine:latest) not found"},
		{line: "get_deploying_app_image_name shop", out: "dokku/shop:latest\n"},
		{line: "get_deploying_app_image_name idle", code: 1, says: "not found"},
		{line: "get_image_builder_type dokku/shop:latest", out: "pack\n"},
		{line: "is_image_cnb_based dokku/shop:latest"},
		{line: "is_image_cnb_based nothing", code: 1},
		{line: "is_image_herokuish_based dokku/shop:latest", code: 1},
		{line: "verify_image dokku/shop:latest"},
		{line: "verify_image nothing", code: 1},
		{line: "get_app_container_ids shop", out: "web1\nworker1\n"},
		{line: "get_app_container_ids shop worker", out: "worker1\n"},
		{line: "get_app_running_container_ids shop", out: "web1\n"},
		{line: "get_app_running_container_types shop", out: "web\n"},
		{line: "is_container_status web1 Running"},
		{line: "is_container_status worker1 Running", code: 1},
		{line: "is_container_status nothing Running", code: 1},
		{line: "plugn-trigger-exists config-get"},
		{line: "plugn-trigger-exists nothing", code: 1},
		{line: "registry-docker-config-dir shop", code: 1},
		{line: "config get shop A", out: "it's\n"},
		{line: "config get shop NOPE", code: 1},
		{line: "config get --global G", out: "1\n"},
		{line: "config keys shop", out: "A\nB\n"},
		{line: "config keys --merged shop", out: "A\nB\nG\n"},
		{line: "config show shop", out: "=====> shop env vars\nA:  it's\nB:  two\\nlines\n"},
		{line: "config export shop", out: "export A='it'\\''s'\nexport B='two\nlines'\n"},
		{line: "config export --format json shop --merged", out: `{"A":"it's","B":"two\nlines","G":"1"}` + "\n"},
		{line: "config export --global --format=docker-args-keys", out: "--env=A --env=G\n"},
		{line: "config export shop --format nope", code: 1, says: "Unknown export format: nope"},
		{line: "config set", stdin: "--no-restart\x00idle\x00X=a b\x00Y=\x00", out: "-----> Setting config vars\n       X:  a b\n       Y:  \n"},
		{line: "config set", stdin: "nobody\x00X=1\x00", code: 1, says: "App nobody does not exist"},
		{line: "config unset --no-restart shop A", out: "-----> Unsetting A\n"},
		{line: "get_app_domains shop", out: "shop.example.com\nwww.example.com\n"},
		{line: "get_app_domains idle"},
		{line: "get_default_vhosts idle", out: "idle.example.com\n"},
		{line: "get_global_vhosts", out: "example.com\n"},
		{line: "is_app_vhost_enabled shop", out: "true\n"},
		{line: "is_valid_hostname www.example.com"},
		{line: "is_valid_hostname 'a b'", code: 1},
		{line: "get_ssl_hostnames shop", code: 1, says: "read the certificate"},
		{line: "nginx-property --app shop --computed access-log-path", out: "/var/log/nginx/shop-access.log\n"},
		{line: "nginx-property --app shop access-log-path", out: "\n"},
		{line: "nginx-property --app shop --global error-log-path", out: "/var/log/nginx/shop-error.log\n"},
		{line: "nginx-property --global error-log-path", out: "\n"},
		{line: "nginx-property --app shop --computed client-max-body-size", out: "1m\n"},
		{line: "nginx-property --global hsts", out: "true\n"},
		{line: "nginx-property --app shop hsts", out: "\n"},
		{line: "is_app_proxy_enabled shop", out: "true\n"},
		{line: "get_app_proxy_type shop", out: "nginx\n"},
		{line: "is_app_proctype_checks_disabled shop worker", out: "true\n"},
		{line: "is_app_proctype_checks_disabled shop web", out: "false\n"},
		{line: "is_app_proctype_checks_skipped shop worker", out: "false\n"},
		{line: "docker-options add shop build,run '--link x:y'"},
		{line: "docker-options add shop nowhere x", code: 1, says: "Phase(s) must be one of build, deploy, run"},
		{line: "docker-options add nobody run x", code: 1, says: "does not exist"},
		{line: "docker-options remove shop deploy --link a:b"},
		{line: "ps_start nobody", code: 1, says: "does not exist"},
	} {
		code, out, problem := function(t, newCore(t), test.line, test.stdin)
		if code != test.code || out != test.out || !strings.Contains(problem, test.says) || (test.says == "") != (problem == "") {
			t.Errorf("%s: %d %q %q, want %d %q %q", test.line, code, out, problem, test.code, test.out, test.says)
		}
	}
}

// TestProperties: the property store as plugins use it, step by step.
func TestProperties(t *testing.T) {
	c := newCore(t)
	for _, test := range []struct {
		line, stdin string
		code        int
		out         string
	}{
		{line: "prop setup demo"},
		{line: "prop setup-app demo shop"},
		{line: "prop get demo shop key", code: 1},
		{line: "prop get-with-default demo shop key"},
		{line: "prop get-with-default demo shop key usual", out: "usual\n"},
		{line: "prop set demo shop key", stdin: "a value"},
		{line: "prop set demo shop empty"},
		{line: "prop get-with-default demo shop empty usual"},
		{line: "prop del demo shop empty"},
		{line: "prop set demo shop kept", stdin: "x"},
		{line: "prop get demo shop key", out: "a value\n"},
		{line: "prop exists demo shop key"},
		{line: "prop get-all demo shop", out: "kept x\nkey a value\n"},
		{line: "prop get-all-by-prefix demo shop ke", out: "kept x\nkey a value\n"},
		{line: "prop del demo shop kept"},
		{line: "prop get-all demo shop", out: "key a value\n"},
		{line: "prop del demo shop key"},
		{line: "prop del demo shop key"},
		{line: "prop exists demo shop key", code: 1},
		{line: "prop rpush demo shop list b"},
		{line: "prop rpush demo shop list c"},
		{line: "prop rpush demo shop list a 0"},
		{line: "prop lrange demo shop list", out: "a\nb\nc\n"},
		{line: "prop llen demo shop list", out: "3\n"},
		{line: "prop lindex demo shop list 1", out: "b\n"},
		{line: "prop lindex demo shop list 7", code: 1},
		{line: "prop lismember demo shop list b"},
		{line: "prop lset demo shop list 1 beta"},
		{line: "prop lrem demo shop list c"},
		{line: "prop lrem-by-prefix demo shop list bet"},
		{line: "prop lrange demo shop list", out: "a\n"},
		{line: "prop lwrite demo shop list", stdin: "x\ny z\n"},
		{line: "prop clone demo shop idle"},
		{line: "prop lrange demo idle list", out: "x\ny z\n"},
		{line: "prop destroy demo shop"},
		{line: "prop lrange demo shop list"},
		{line: "prop migrate-config-to-property demo colour A A"},
		{line: "prop get demo shop colour", out: "it's\n"},
		{line: "prop get demo --global colour", out: "global\n"},
		{line: "config get shop A", code: 1},
		{line: "prop destroy demo _all_"},
		{line: "prop get demo shop colour", code: 1},
	} {
		code, out, problem := function(t, c, test.line, test.stdin)
		if code != test.code || out != test.out || problem != "" {
			t.Errorf("%s: %d %q %q, want %d %q", test.line, code, out, problem, test.code, test.out)
		}
	}
	if code, _, problem := function(t, c, "prop lismember demo shop list b", ""); code != 1 || problem == "" {
		t.Errorf("lismember: %d %q", code, problem)
	}
	if code, _, problem := function(t, c, "prop set ../x shop key", "v"); code != 1 || problem == "" {
		t.Errorf("a plugin that is a path: %d %q", code, problem)
	}
}

// TestTriggers: what the core answers when a plugin fires its triggers.
func TestTriggers(t *testing.T) {
	for _, test := range []struct {
		line string
		code int
		out  string
	}{
		{"app-list", 0, "idle\nshop\n"},
		{"app-exists shop", 0, ""},
		{"app-exists nobody", 1, ""},
		{"scheduler-detect shop", 0, "docker-local\n"},
		{"scheduler-is-deployed docker-local shop", 0, ""},
		{"scheduler-is-deployed docker-local idle", 1, ""},
		{"scheduler-is-deployed nomad idle", 0, ""},
		{"scheduler-app-status docker-local shop", 0, "2 mixed\n"},
		{"proxy-type shop", 0, "nginx\n"},
		{"proxy-is-enabled shop", 0, "true\n"},
		{"ports-get shop", 0, "http:80:5000\nhttps:443:5000\n"},
		{"ports-get idle json", 0, `[{"scheme":"http","host_port":80,"container_port":5000}]` + "\n"},
		{"ports-get-property shop computed-proxy-port", 0, "80\n"},
		{"certs-exists shop", 0, "false\n"},
		{"domains-list shop", 0, "shop.example.com\nwww.example.com\n"},
		{"domains-urls shop url", 0, "https://shop.example.com\n"},
		{"domains-vhost-enabled shop", 0, ""},
		{"config-get shop A", 0, "it's"},
		{"config-get shop NOPE", 0, ""},
		{"config-get-global G", 0, "1"},
		{"config-export shop false true json", 0, `{"A":"it's","B":"two\nlines","G":"1"}` + "\n"},
		{"network-get-listeners shop web", 0, "172.17.0.2:5000\n"},
		{"network-get-listeners idle web", 0, "\n"},
		{"network-get-property shop bind-all-interfaces", 0, "false\n"},
		{"network-get-ipaddr shop web web1", 0, "172.17.0.2\n"},
		{"resource-get-property shop web limit memory", 0, "64\n"},
		{"resource-get-property shop worker limit memory", 0, ""},
		{"ps-current-scale shop", 0, "web=1\nworker=2\n"},
		{"ps-current-scale idle", 0, "web=1\n"},
		{"ps-get-property shop stop-timeout-seconds", 0, "9\n"},
		{"checks-get-property shop wait-to-retire", 0, "60\n"},
		{"procfile-exists shop", 0, ""},
		{"procfile-exists idle", 1, ""},
		{"procfile-get-command shop web 8080", 0, "serve --port 8080\n"},
		{"docker-args-deploy shop latest", 0, " --link a:b -v /x:/y"},
		{"nginx-app-template-source shop app-config", 0, ""},
	} {
		c := newCore(t)
		walk := &triggers.Walk{Path: c.Host.Places.Plugins(), Core: c.AskedByPlugins()}
		words := strings.Fields(test.line)
		var out, problem bytes.Buffer
		err := walk.Trigger(context.Background(), words[0], words[1:], triggers.Streams{Out: &out, Err: &problem})
		code := 0
		if failed, ok := err.(*triggers.Failure); ok {
			code = failed.Code
		}
		if code != test.code || out.String() != test.out || problem.Len() > 0 {
			t.Errorf("%s: %d %q %q, want %d %q", test.line, code, out.String(), problem.String(), test.code, test.out)
		}
	}
	c := newCore(t)
	if c.Host.Walk.Has("docker-args-deploy") || c.Host.Walk.Has("post-domains-update") {
		t.Error("a deploy of the agent's own would do the core's part twice")
	}
}

// TestCrontab: only the lines between the marks are the agent's.
func TestCrontab(t *testing.T) {
	mine := "# mine\n0 0 * * * true"
	first := crontabWith(mine, []string{"1 2 * * * dokku x"})
	want := mine + "\n" + cronBegin + "\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n1 2 * * * dokku x\n" + cronEnd + "\n"
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	if again := crontabWith(first, []string{"1 2 * * * dokku x"}); again != first {
		t.Errorf("a second time:\n%s", again)
	}
	if none := crontabWith(first+"# last\n", nil); none != mine+"\n# last\n" {
		t.Errorf("without entries:\n%s", none)
	}
}
