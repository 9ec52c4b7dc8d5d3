package command

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func (e *engine) Info(context.Context) (agent.EngineInfo, error) {
	return agent.EngineInfo{Memory: 8 << 30}, nil
}

// properties are the app's, those of one plugin.
func properties(t *testing.T, h *agent.Host, plugin string) map[string]string {
	t.Helper()
	settings, err := h.Settings.Read("shop")
	must(t, err)
	found := map[string]string{}
	for name, value := range settings.Properties {
		if key, ok := strings.CutPrefix(name, plugin+"/"); ok {
			found[key] = value
		}
	}
	return found
}

func has(t *testing.T, h *agent.Host, plugin string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, properties(t, h, plugin)); diff != "" {
		t.Errorf("the properties of %s:\n%s", plugin, diff)
	}
}

func TestChecksLists(t *testing.T) {
	h, _ := newHost(t)
	set(t, h, "shop", func(now *agent.Settings) { now.Scale = map[string]int{"web": 1, "worker": 1, "clock": 0} })
	prints(t, h, "checks:disable shop web,worker", "-----> Disabling zero downtime for app's (shop) proctype(s) (web,worker)\n")
	prints(t, h, "checks:skip shop web", "-----> Skipping zero downtime for app's (shop) proctype(s) (web)\n")
	has(t, h, "checks", map[string]string{"disabled": "worker", "skipped": "web"})
	prints(t, h, "checks:disable shop", "-----> Disabling zero downtime for app's (shop) proctype(s) (_all_)\n")
	has(t, h, "checks", map[string]string{"disabled": "_all_"})
	prints(t, h, "checks:enable shop web", "-----> Enabling zero downtime for app's (shop) proctype(s) (web)\n")
	has(t, h, "checks", map[string]string{"disabled": "clock,worker"})
	prints(t, h, "checks:set shop wait-to-retire 30", "=====> Setting wait-to-retire to 30\n")
	prints(t, h, "checks:set --global wait-to-retire 90", "=====> Setting wait-to-retire to 90\n")
	prints(t, h, "checks:report shop", `=====> shop checks information
       Checks disabled list:          clock,worker
       Checks skipped list:           none
       Checks computed default wait:  10
       Checks global default wait:    10
       Checks default wait:           `+`
       Checks computed wait to retire: 30
       Checks global wait to retire:  90
       Checks wait to retire:         30
`)
	prints(t, h, "checks:set shop wait-to-retire", "=====> Unsetting wait-to-retire\n")
	prints(t, h, "checks:report shop --checks-computed-wait-to-retire", "90\n")
	prints(t, h, "checks:enable shop", "-----> Enabling zero downtime for app's (shop) proctype(s) (_all_)\n")
	has(t, h, "checks", map[string]string{})
	refuses(t, h, "checks:run shop", api.Precondition, "no running container")
	refuses(t, h, "checks:run shop web,worker", api.Precondition, "no running container")
}

// TestProcessReport: what a single process type has is in the report; import reads it there.
func TestProcessReport(t *testing.T) {
	h, _ := newHost(t)
	deploy(t, h)
	set(t, h, "shop", func(now *agent.Settings) {
		now.Properties["ps/web.stop-timeout-seconds"], now.Properties["ps/stop-timeout-seconds"] = "3", "9"
	})
	prints(t, h, "ps:report shop --ps-web.stop-timeout-seconds", "3\n")
	prints(t, h, "ps:report shop --ps-stop-timeout-seconds", "9\n")
}

// TestRetention: how many images stay is an app's own, or the host's for all.
func TestRetention(t *testing.T) {
	h, e := newHost(t)
	deploy(t, h)
	e.list = nil
	prints(t, h, "ps:report shop --ps-computed-keep-releases", "5\n")
	prints(t, h, "ps:set --global keep-releases 9", "=====> Setting keep-releases to 9\n")
	prints(t, h, "ps:report shop --ps-computed-keep-releases", "9\n")
	prints(t, h, "ps:set shop keep-releases 2", "=====> Setting keep-releases to 2\n")
	prints(t, h, "ps:report shop --ps-computed-keep-releases", "2\n")
	prints(t, h, "ps:report --global --ps-global-keep-releases", "9\n")
	prints(t, h, "ps:set shop keep-bytes 10g", "=====> Setting keep-bytes to 10g\n")
	prints(t, h, "ps:report shop --ps-keep-bytes", "10g\n")
	has(t, h, "ps", map[string]string{"keep-bytes": "10g", "keep-releases": "2"})
	prints(t, h, "ps:set shop keep-bytes", "=====> Unsetting keep-bytes\n")
	for _, line := range []string{"ps:set shop keep-releases 0", "ps:set shop keep-releases all", "ps:set shop keep-bytes 10", "ps:set shop keep-bytes 0g", "ps:set shop keep-bytes lots"} {
		refuses(t, h, line, api.Usage, "is no")
	}
}

func TestDockerOptions(t *testing.T) {
	h, _ := newHost(t)
	prints(t, h, `docker-options:add shop build,deploy,run "--link dokku.postgres.db:dokku-postgres-db"`, "")
	prints(t, h, `docker-options:add shop deploy --shm-size 256m`, "")
	prints(t, h, `docker-options:add shop deploy --shm-size 256m`, "") // once
	prints(t, h, `docker-options:add shop run --env "GREETING=two words"`, "")
	prints(t, h, `docker-options:add --process worker shop deploy --ulimit=nofile=12`, "")
	link := "--link dokku.postgres.db:dokku-postgres-db"
	has(t, h, "docker-options", map[string]string{"_default_.build": link, "_default_.deploy": link + "\n--shm-size 256m",
		"_default_.run": link + "\n--env 'GREETING=two words'", "worker.deploy": "--ulimit=nofile=12"})
	prints(t, h, "docker-options:report shop", `=====> shop docker options information
       Docker options build:          `+link+`
       Docker options deploy:         `+link+` --shm-size 256m
       Docker options run:            `+link+` --env 'GREETING=two words'
       Docker options worker.deploy:  --ulimit=nofile=12
`)
	prints(t, h, "docker-options:report shop --docker-options-build", link+"\n")
	prints(t, h, `docker-options:remove shop build,deploy,run "`+link+`"`, "")
	prints(t, h, "docker-options:clear shop run", "-----> Clearing docker-options for shop\n")
	has(t, h, "docker-options", map[string]string{"_default_.deploy": "--shm-size 256m", "worker.deploy": "--ulimit=nofile=12"})
	prints(t, h, "docker-options:clear shop", "-----> Clearing docker-options for shop\n")
	has(t, h, "docker-options", map[string]string{"worker.deploy": "--ulimit=nofile=12"})
	for line, want := range map[string]string{
		"docker-options:add shop":                          "Please specify a phase",
		"docker-options:add shop deploy":                   "Please specify docker options",
		"docker-options:add shop start --init":             "Phase(s) must be one of",
		"docker-options:add shop deploy init":              "is no docker option",
		"docker-options:add --process a/b shop deploy -x":  "has no deploy options",
		"docker-options:add --process web shop build -x":   "has no build options",
		"docker-options:add --process":                     "--process wants a value",
		"docker-options:clear shop deploy run":             "unexpected argument",
		`docker-options:add shop deploy "--env 'open"`:     "quote",
		`docker-options:remove shop deploy`:                "Please specify docker options",
		`docker-options:add --process web shop deploy,x a`: "Phase(s) must be",
	} {
		refuses(t, h, line, api.Usage, want)
	}
	for line, want := range map[string]string{
		"--name x": "decides", "--restart=always": "decides", "--network host": "decides", "--net=host": "decides", "-d": "decides", "--rm": "decides",
		"--label com.dokku.app-name=other": "label", "-l dokku=service": "label", "'--env A=$(id)'": "no shell", "'--env A=`id`'": "no shell",
		"-v /etc:/x": "the host itself", "-v/etc:/x": "the host itself", "--volume=/:/x": "the host itself", "-v /var/run/docker.sock:/x": "the host itself",
		"--mount type=bind,source=/proc,target=/x": "the host itself", "-v /home/dokku/.ssh:/x": "the host itself", "-v /srv/../etc:/x": "no absolute path",
	} {
		refuses(t, h, "docker-options:add shop deploy "+line, api.Refused, want)
	}
	for _, option := range []string{"--privileged", "--cap-add SYS_ADMIN", "--device=/dev/sda", "--pid host", "--ipc=host", "--security-opt seccomp=unconfined", "--userns=host"} {
		call := Call{Host: h, By: agent.Caller{Fingerprint: "SHA256:key"}}
		if _, _, err := do(t, call, "docker-options:add shop deploy "+option); err == nil || !strings.Contains(err.Error(), "a part of the host") {
			t.Errorf("%s from afar: %v", option, err)
		}
		prints(t, h, "docker-options:add shop deploy "+option, "") // the host's owner may
	}
	far := Call{Host: h, By: agent.Caller{Fingerprint: "SHA256:key"}}
	if _, _, err := do(t, far, "docker-options:add shop deploy '--mount type=tmpfs,target=/x --mount type=bind,source=/srv/a,target=/b'"); err != nil {
		t.Errorf("mounts that are fine: %v", err)
	}
	for option, want := range map[string]string{"-iv /etc:/x": "decides", "--init busybox": "no option", "--nonsense": "not known", "-v ../x:/x": "no absolute path",
		"--mount type=bind,SOURCE=/etc,target=/x": "the host", "--mount type=volume,source=v1,target=/x,volume-opt=device=/etc": "volume-opt"} {
		if _, _, err := do(t, far, "docker-options:add shop deploy "+option); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s from afar: %v", option, err)
		}
	}
}

func TestStorage(t *testing.T) {
	h, _ := newHost(t)
	own := filepath.Join(h.Places.Storage(), "shop")
	prints(t, h, "storage:ensure-directory --chown false shop", "-----> Ensuring "+own+" exists\n")
	if info, err := os.Stat(own); err != nil || !info.IsDir() {
		t.Errorf("no folder: %v", err)
	}
	prints(t, h, "storage:mount shop "+own+":/data", "")
	prints(t, h, "storage:mount shop cache:/cache:ro", "")
	both := "-v " + own + ":/data\n-v cache:/cache:ro"
	has(t, h, "docker-options", map[string]string{"_default_.deploy": both, "_default_.run": both})
	prints(t, h, "storage:list shop", "-----> shop volume bind-mounts:\n       "+own+":/data\n       cache:/cache:ro\n")
	prints(t, h, "storage:list shop --format json", `[{"host_path":"`+own+`","container_path":"/data","volume_options":""},{"host_path":"cache","container_path":"/cache","volume_options":"ro"}]`+"\n")
	prints(t, h, "storage:report shop --storage-run-mounts", "-v "+own+":/data -v cache:/cache:ro\n")
	refuses(t, h, "storage:mount shop cache:/cache:ro", api.Usage, "Mount path already exists.")
	prints(t, h, "storage:unmount shop cache:/cache:ro", "")
	refuses(t, h, "storage:unmount shop cache:/cache:ro", api.Usage, "Mount path does not exist.")
	must(t, h.Settings.Create("other"))
	must(t, os.Symlink("/etc", filepath.Join(own, "link"))) // as a container may lay it there
	for line, code := range map[string]api.Code{
		"storage:mount shop": api.Usage, "storage:mount shop /data": api.Usage, "storage:mount shop a:b": api.Usage, "storage:mount shop a:/": api.Usage,
		"storage:mount shop a:/x/../y": api.Usage, "storage:mount shop a:/b:exec": api.Usage, "storage:mount shop a:/b:ro:c": api.Usage, "storage:mount shop -a:/b": api.Usage,
		"storage:mount shop ./rel/x:/b": api.Refused, "storage:mount shop /:/b": api.Refused, "storage:mount shop /etc/passwd:/b": api.Refused, "storage:mount shop /var:/b": api.Refused,
		"storage:mount shop /var/run/docker.sock:/b": api.Refused, "storage:mount shop /proc:/b": api.Refused, "storage:mount shop /srv/../root:/b": api.Refused,
		"storage:mount shop " + h.Places.Storage() + "/other:/b": api.Refused, "storage:mount shop " + h.Places.Storage() + ":/b": api.Refused,
		"storage:mount shop " + own + "/link/cron.d:/b": api.Refused, "docker-options:add shop deploy --mount type=bind,source=" + own + "/link/cron.d,target=/b": api.Refused,
		"storage:mount shop '$(id):/b'": api.Usage, "storage:list shop --format xml": api.Usage,
		"storage:ensure-directory": api.Usage, "storage:ensure-directory ../x": api.Usage, "storage:ensure-directory a/b": api.Usage,
		"storage:ensure-directory " + long(46): api.Usage, "storage:ensure-directory --chown me x": api.Usage,
	} {
		refuses(t, h, line, code, "")
	}
}

func TestResources(t *testing.T) {
	h, _ := newHost(t)
	prints(t, h, "resource:limit --memory 100 --cpu 0.5 shop", "=====> Setting resource limits for shop\n       cpu: 0.5\n       memory: 100\n")
	prints(t, h, "resource:limit --process-type worker --memory=1g shop", "=====> Setting resource limits for shop (worker)\n       memory: 1g\n")
	prints(t, h, "resource:reserve --memory 64m shop", "=====> Setting resource reserves for shop\n       memory: 64m\n")
	has(t, h, "resource", map[string]string{"_default_.limit.memory": "100", "_default_.limit.cpu": "0.5", "worker.limit.memory": "1g", "_default_.reserve.memory": "64m"})
	prints(t, h, "resource:report shop", `=====> shop resource information
       Resources _default_.limit.cpu: 0.5
       Resources _default_.limit.memory: 100
       Resources _default_.limit.memory swap: `+`
       Resources _default_.limit.nvidia gpu: `+`
       Resources _default_.reserve.memory: 64m
       Resources worker.limit.memory: 1g
`)
	out, _, err := do(t, Call{Host: h}, "resource:limit shop")
	if err != nil || !strings.Contains(out, "=====> resource limits shop information (defaults)\n       cpu:                     0.5\n") {
		t.Errorf("%v, %q", err, out)
	}
	prints(t, h, "resource:limit-clear --process-type worker shop", "-----> Clearing shop (worker)\n")
	prints(t, h, "resource:limit-clear shop", "-----> Clearing shop\n")
	has(t, h, "resource", map[string]string{"_default_.reserve.memory": "64m"})
	prints(t, h, "resource:reserve-clear shop", "-----> Clearing shop\n")
	has(t, h, "resource", map[string]string{})
	for _, flags := range []string{"--memory 5m", "--memory -1", "--memory 1t", "--memory x", "--memory 1e9", "--memory 9g", "--memory 0", "--cpu 0", "--cpu -1", "--cpu 1e3",
		"--cpu 100000", "--cpu NaN", "--cpu +1", "--nvidia-gpu x", "--memory", "--process-type a/b --cpu 1", "--network 5"} {
		refuses(t, h, "resource:limit "+flags+" shop", api.Usage, "")
	}
}

func TestSetCommands(t *testing.T) {
	h, _ := newHost(t)
	for line, want := range map[string]string{
		"ps:set shop restart-policy on-failure:20": "Setting restart-policy to on-failure:20",
		"ps:set shop stop-timeout-seconds 60":      "Setting stop-timeout-seconds to 60",
		"ps:set shop start-cmd node server.js":     "Setting start-cmd to node server.js",
		"scheduler:set shop shell /bin/ash":        "Setting shell to /bin/ash",
		"scheduler:set shop selected docker-local": "Setting selected to docker-local",
		"logs:set --global max-size 20m":           "Setting max-size to 20m",
		"cron:set shop maintenance true":           "Setting maintenance to true",
		"logs:set shop max-size":                   "Unsetting max-size",
	} {
		prints(t, h, line, "=====> "+want+"\n")
	}
	has(t, h, "ps", map[string]string{"restart-policy": "on-failure:20", "stop-timeout-seconds": "60", "start-cmd": "node server.js"})
	prints(t, h, "logs:report shop --logs-computed-max-size", "20m\n")
	prints(t, h, "scheduler:report shop --scheduler-computed-shell", "/bin/ash\n")
	prints(t, h, "cron:report shop --cron-maintenance", "true\n")
	for _, line := range []string{"ps:set shop", "ps:set shop restart-policy sometimes", "ps:set shop stop-timeout-seconds -1", "ps:set shop stop-timeout-seconds 01",
		"ps:set shop nonsense x", "ps:set --global restart-policy always", "ps:set shop start-cmd 'a\nb'",
		"checks:set shop wait-to-retire x", "logs:set shop max-size 0", "logs:set shop vector-sink x",
		"scheduler:set shop selected k3s", "scheduler:set shop shell sh", "cron:set shop maintenance yes"} {
		refuses(t, h, line, api.Usage, "")
	}
}

// TestWithoutEffect: what would change nothing here is refused by its name, and can be unset.
func TestWithoutEffect(t *testing.T) {
	h, _ := newHost(t)
	for _, words := range []string{"ps:set shop procfile-path", "registry:set shop image-repo-template", "registry:set shop push-on-release"} {
		name := words[strings.LastIndex(words, " ")+1:]
		refuses(t, h, words+" x/y", api.Usage, name+" has no effect here")
		prints(t, h, words, "=====> Unsetting "+name+"\n")
	}
}

func TestConfigExport(t *testing.T) {
	h, _ := newHost(t)
	set(t, h, "--global", func(now *agent.Settings) { now.Env = map[string]string{"G": "1", "A": "global"} })
	set(t, h, "shop", func(now *agent.Settings) { now.Env = map[string]string{"A": "it's", "B": "two\nlines"} })
	for format, want := range map[string]string{
		"exports": "export A='it'\\''s'\nexport B='two\nlines'\n", "eval": "export A='it'\\''s'\nexport B='two\nlines'\n",
		"envfile": "A=\"it's\"\nB=\"two\\nlines\"\n", "docker-args": "--env=A='it'\\''s' --env=B='two\nlines'\n", "docker-args-keys": "--env=A --env=B\n",
		"shell": "A='it'\\''s' B='two\nlines'\n", "pretty": "A:  it's\nB:  two\\nlines\n", "json": `{"A":"it's","B":"two\nlines"}` + "\n",
		"json-list": `[{"name":"A","value":"it's"},{"name":"B","value":"two\nlines"}]` + "\n", "pack-keyvalue": "--env=A='it'\\''s'\n--env=B='two\nlines'\n", "pack-keys": "--env A --env B\n",
	} {
		prints(t, h, "config:export --format "+format+" shop", want)
	}
	prints(t, h, "config:export shop --merged --format=json", `{"A":"it's","B":"two\nlines","G":"1"}`+"\n")
	prints(t, h, "config:export --global", "export A='global'\nexport G='1'\n")
	prints(t, h, "config:keys shop", "A\nB\n")
	prints(t, h, "config:keys --merged shop", "A\nB\nG\n")
	prints(t, h, "config shop", "=====> shop env vars\nA:  it's\nB:  two\\nlines\n")
	prints(t, h, "config:show --merged shop", "=====> shop env vars\nA:  it's\nB:  two\\nlines\nG:  1\n")
	refuses(t, h, "config:export --format yaml shop", api.Usage, "Unknown export format: yaml")
	refuses(t, h, "config:keys shop more", api.Usage, "unexpected argument")

	out, _, err := do(t, Call{Host: h}, "config:bundle shop")
	must(t, err)
	bundle := map[string]string{}
	for in := tar.NewReader(strings.NewReader(out)); ; {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		text, err := io.ReadAll(in)
		must(t, err)
		bundle[header.Name] = string(text)
	}
	if diff := cmp.Diff(map[string]string{"A": "it's", "B": "two\nlines"}, bundle); diff != "" {
		t.Errorf("the bundle:\n%s", diff)
	}
	imported := func(line, text string) error {
		_, _, err := do(t, Call{Host: h, In: strings.NewReader(text)}, line)
		return err
	}
	must(t, imported("config:import --no-restart shop", "export C=3\nD='x y'\n"))
	prints(t, h, "config:keys shop", "A\nB\nC\nD\n")
	must(t, imported("config:import --no-restart --replace --format json shop", `{"E":"5"}`))
	prints(t, h, "config:export --format json shop", `{"E":"5"}`+"\n")
	for _, text := range []string{"", "1A=2", "no pair", "A='open", "A=\x00"} {
		if err := imported("config:import --no-restart shop", text); err == nil || api.AsError(err).Code != api.Usage {
			t.Errorf("import of %q: %v", text, err)
		}
	}
	refuses(t, h, "config:import shop /etc/passwd", api.Usage, "standard input")
	prints(t, h, "config:clear --no-restart shop", "-----> Clearing config vars\n")
	prints(t, h, "config:keys shop", "")
}
