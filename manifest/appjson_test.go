package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAppJSON(t *testing.T) {
	const text = `{
  "scripts": {"dokku": {"predeploy": "a", "postdeploy": "b"}, "postdeploy": "c"},
  "formation": {"web": {"quantity": 2, "max_parallel": -1}, "worker": {"quantity": 0}, "clock": {}},
  "healthchecks": {"web": [
    {},
    {"type": "Readiness", "name": "n", "description": "d", "path": "/a?b=%20", "port": 65535, "scheme": "HTTPS", "content": "ok",
     "httpHeaders": [{"name": "X-Probe", "value": "1"}], "attempts": 2, "initialDelay": 1, "timeout": 2, "wait": 3, "warn": true, "onFailure": {"command": ["/bin/tell", "us"], "url": "https://hooks.example.com/x?y"}},
    {"command": ["/bin/check", ""]}, {"listening": true}, {"uptime": 10, "timeout": 0, "wait": 0, "attempts": 0}
  ]},
  "env": {"A": "x", "B": {"description": "d", "value": "y", "required": false, "sync": true}, "C": {"generator": "secret"}, "D": {"value": null}}
}`
	got, found := ParseAppJSON("app.json", []byte(text))
	sound(t, found)
	same(t, told(found), "advice: app.json:2:25: scripts.dokku.predeploy changes the image after it was built; "+
		"a release: line in the Procfile runs before traffic moves and leaves the image alone\n"+
		"advice: app.json:6:5: healthchecks.web[1] is a readiness check, which is not run on a single host, as in Dokku; what a deploy waits for is of the type startup")
	two, zero := 2, 0
	usual := Healthcheck{Type: "startup", Scheme: "http", Attempts: 3, Timeout: 5 * time.Second, Wait: 5 * time.Second}
	with := func(change func(*Healthcheck)) Healthcheck {
		check := usual
		change(&check)
		return check
	}
	same(t, got, &AppJSON{
		Scripts:   Scripts{Predeploy: "a", Postdeploy: "b", FirstDeploy: "c"},
		Formation: map[string]Formation{"web": {Quantity: &two, MaxParallel: -1}, "worker": {Quantity: &zero}, "clock": {}},
		Healthchecks: map[string][]Healthcheck{"web": {
			usual,
			{Type: "readiness", Name: "n", Description: "d", Path: "/a?b=%20", Port: 65535, Scheme: "https", Content: "ok",
				Headers: []Header{{"X-Probe", "1"}}, Attempts: 2, InitialDelay: time.Second, Timeout: 2 * time.Second, Wait: 3 * time.Second, Warn: true,
				OnFailure: &OnFailure{Command: []string{"/bin/tell", "us"}, URL: "https://hooks.example.com/x?y"}},
			with(func(c *Healthcheck) { c.Command = []string{"/bin/check", ""} }),
			with(func(c *Healthcheck) { c.Listening = true }),
			with(func(c *Healthcheck) { c.Uptime = 10 * time.Second }),
		}},
		Env: map[string]EnvVar{
			"A": {Value: "x", Required: true},
			"B": {Value: "y", Description: "d", Sync: true},
			"C": {Secret: true, Required: true},
			"D": {Required: true},
		},
	})
}

// What has a meaning elsewhere, and what is known to nobody, is advice.
func TestAppJSONAdvice(t *testing.T) {
	const goesOn = " is not used; this deploy goes on without it"
	for _, test := range []struct{ text, told string }{
		{`{}`, ""},
		{`{"scripts": null, "env": {}}`, ""},
		{" \n", "advice: app.json:1:1: the file is empty; remove it, or write {}"},
		{"{\n  // why\n  \"env\": {\"A\": \"1\",},\n}", "advice: app.json:2:3: JSON has no comments; Dokku takes them, Heroku does not\n" +
			"advice: app.json:3:19: JSON has no comma after the last entry; Dokku takes it, Heroku does not"},
		{"/* a */ {}", "advice: app.json:1:1: JSON has no comments; Dokku takes them, Heroku does not"},
		{`{"env": {"A": "// no \" comment,]"}}`, ""},
		{"\ufeff{}", "advice: app.json:1:1: the file begins with a byte order mark; save it as UTF-8 without one: other tools read the mark as a part of the first line"},
		{`{"scripts": {"pr-predestroy": "x"}}`, "advice: app.json:1:14: scripts.pr-predestroy" + goesOn},
		{`{"formation": {"web": {"size": "s", "service": {}, "autoscaling": {}}}}`, "advice: app.json:1:24: formation.web.size" + goesOn +
			"\nadvice: app.json:1:37: formation.web.service" + goesOn + "\nadvice: app.json:1:52: formation.web.autoscaling" + goesOn},
		{`{"healthchecks": {"web": [{"onFailure": {}}]}}`, "advice: app.json:1:41: healthchecks.web[0].onFailure says nothing to do; give it a command, a url, or both"},
		{`{"healthchecks": {"web": [{"type": "readiness"}]}}`, "advice: app.json:1:27: healthchecks.web[0] is a readiness check, which is not run on a single host, as in Dokku; what a deploy waits for is of the type startup"},
		{`{"healthchecks": {"web": [{"type": "liveness"}]}}`, "advice: app.json:1:27: healthchecks.web[0] is a liveness check, which is not run on a single host, as in Dokku; what a deploy waits for is of the type startup"},
		{`{"healthchecks": {"web": [{"content": "x"}]}}`, "advice: app.json:1:27: healthchecks.web[0] asks for no path; content and httpHeaders are used only with one"},
		{`{"Scripts": {}}`, "advice: app.json:1:2: Scripts is not known and not used; did you mean scripts?"},
		{`{"healtchecks": {}}`, "advice: app.json:1:2: healtchecks is not known and not used; did you mean healthchecks?"},
		{`{"formation": {"web": {"count": 1}}}`, "advice: app.json:1:24: formation.web.count is not known and not used; known here: autoscaling, max_parallel, quantity, service, size"},
		{`{"\u001b[31m": 1}`, `advice: app.json:1:2: "\x1b[31m" is not known and not used; known here: ` +
			"addons, buildpacks, cron, description, env, environments, formation, healthchecks, image, keywords, logo, name, repository, scripts, stack, success_url, website"},
	} {
		appJSON, found := ParseAppJSON("app.json", []byte(test.text))
		sound(t, found)
		same(t, told(found), test.told)
		if appJSON == nil {
			t.Errorf("%s is refused", test.text)
		}
	}
	for _, key := range labels {
		_, found := ParseAppJSON("app.json", fmt.Appendf(nil, `{%q: "x"}`, key))
		same(t, told(found), "")
	}
	for _, key := range []string{"addons", "stack", "image"} {
		_, found := ParseAppJSON("app.json", fmt.Appendf(nil, `{%q: 1}`, key))
		same(t, told(found), "advice: app.json:1:2: "+key+goesOn)
	}
}

func TestAppJSONMistakes(t *testing.T) {
	check := func(fields string) string { return `{"healthchecks": {"web": [{` + fields + `}]}}` }
	env := func(entries string) string { return `{"env": {` + entries + `}}` }
	long := strings.Repeat("x", maxScript+1)
	for _, test := range []struct{ text, told string }{
		// the text
		{"{\n  \"a\": \"é\" x", "2:12: there is no comma before this; write a comma after each entry but the last, and } at the end"},
		{`{"a": 01}`, "1:7: this is no JSON value; strings and keys stand in double quotes; entries are separated by commas"},
		{`{"a": "` + "\n" + `"}`, "1:7: this is no JSON value; strings and keys stand in double quotes; entries are separated by commas"},
		{`{"a": 1} {}`, "1:10: there is more after the end of the value; the file is one { … }"},
		{`{"a": "` + "\xff" + `"}`, "1:8: this byte is not UTF-8; save the file as UTF-8"},
		{"{\"a\": 1\x00}", "1:8: there is a NUL byte in the file; save it as UTF-8 text"},
		{strings.Repeat("[", 100000), "1:33: values lie more than 32 deep within each other; app.json needs no such depth"},
		{`[]`, "1:1: the file is a list; write an object: { … }"},
		{"{\"env\": {},\n \"env\": {}}", "2:2: the key env stands twice in one object; keep one of the two"},
		{`{"name": {"a": 1, "\u0061": 2}}`, "1:19: the key a stands twice in one object; keep one of the two"},
		// scripts
		{`{"scripts": []}`, "1:13: scripts is a list; write an object: { … }"},
		{`{"scripts": {"postdeploy": ["x"]}}`, "1:28: scripts.postdeploy is a list; write a string, in double quotes"},
		{`{"scripts": {"postdeploy": "\u0000"}}`, "1:28: scripts.postdeploy holds a NUL byte; take it out"},
		{`{"scripts": {"postdeploy": "` + long + `"}}`, "1:28: scripts.postdeploy is larger than 64 KiB; put it into a file of the image and call that"},
		// formation
		{`{"formation": {"web": {"quantity": -1}}}`, "1:36: formation.web.quantity is -1; write a whole number from 0 to 1000"},
		{`{"formation": {"web": {"quantity": 1001}}}`, "1:36: formation.web.quantity is 1001; write a whole number from 0 to 1000"},
		{`{"formation": {"web": {"quantity": 1e9}}}`, "1:36: formation.web.quantity is 1e9; write a whole number from 0 to 1000"},
		{`{"formation": {"web": {"quantity": 1.5}}}`, "1:36: formation.web.quantity is 1.5; write a whole number from 0 to 1000"},
		{`{"formation": {"web": {"quantity": "2"}}}`, "1:36: formation.web.quantity is a string; write a whole number from 0 to 1000"},
		{`{"formation": {"web": {"quantity": 99999999999999999999}}}`, "1:36: formation.web.quantity is 99999999999999999999; write a whole number from 0 to 1000"},
		{`{"formation": {"web": {"max_parallel": -2}}}`, "1:40: formation.web.max_parallel is -2; write a whole number from -1 to 1000"},
		{`{"formation": {"web": null}}`, "1:23: formation.web is null; write an object: { … }"},
		{`{"formation": {"Web_1": {}}}`, "1:16: process type Web_1 holds more than lower-case letters, digits and hyphens; write web-1"},
		// healthchecks
		{`{"healthchecks": {"web": {}}}`, "1:26: healthchecks.web is an object; write a list: [ … ]"},
		{check(`"onFailure": {"url": "example.com/hook"}`), "1:49: healthchecks.web[0].onFailure.url is no address of the web; write it whole, such as https://hooks.example.com/failed"},
		{check(`"onFailure": {"url": "file:///etc/passwd"}`), "1:49: healthchecks.web[0].onFailure.url is no address of the web; write it whole, such as https://hooks.example.com/failed"},
		{check(`"onFailure": {"command": ["", "x"]}`), "1:53: healthchecks.web[0].onFailure.command names no program; write it as the first element, such as [\"/bin/check\"]"},
		{check(`"type": "boot"`), "1:36: healthchecks.web[0].type is boot; write one of: startup, readiness, liveness"},
		{check(`"scheme": "ftp"`), "1:38: healthchecks.web[0].scheme is ftp; write one of: http, https"},
		{check(`"port": 0`), "1:36: healthchecks.web[0].port is 0; write a whole number from 1 to 65535"},
		{check(`"port": 65536`), "1:36: healthchecks.web[0].port is 65536; write a whole number from 1 to 65535"},
		{check(`"path": "health"`), "1:36: healthchecks.web[0].path does not begin with /; write only the path, such as /healthz: the request goes to the container"},
		{check(`"path": "http://169.254.169.254/"`), "1:36: healthchecks.web[0].path does not begin with /; write only the path, such as /healthz: the request goes to the container"},
		{check(`"path": "//localhost/"`), "1:36: healthchecks.web[0].path names a host; write only the path, such as /healthz: the request goes to the container"},
		{check(`"path": "/a b"`), "1:36: healthchecks.web[0].path holds a space or a control character; write a space as %20"},
		{check(`"path": "/a\r\nHost: x"`), "1:36: healthchecks.web[0].path holds a space or a control character; write a space as %20"},
		{check(`"path": "/%zz"`), "1:36: healthchecks.web[0].path is no path of a URL; % begins an escape of two hex digits, such as %20"},
		{check(`"path": "/", "httpHeaders": [{"name": "a b", "value": "x"}]`), "1:57: healthchecks.web[0].httpHeaders[0] has a name that no HTTP header can have; write letters, digits and hyphens, such as X-Probe"},
		{check(`"path": "/", "httpHeaders": [{"name": "a", "value": "x\r\ny: z"}]`), "1:57: healthchecks.web[0].httpHeaders[0] has a control character in its value; write one line of text"},
		{check(`"path": "/", "uptime": 1`), "1:27: healthchecks.web[0] checks several things: path, uptime; write a healthcheck for each"},
		{check(`"command": "x"`), "1:39: healthchecks.web[0].command is a string; write a list: [ … ]"},
		{check(`"command": [""]`), "1:39: healthchecks.web[0].command names no program; write it as the first element, such as [\"/bin/check\"]"},
		{check(`"command": ["a\u0000"]`), "1:40: healthchecks.web[0].command[0] holds a NUL byte; take it out"},
		{check(`"name": "a\u001b"`), "1:36: healthchecks.web[0].name holds a control character; write one line of text"},
		{check(`"warn": "yes"`), "1:36: healthchecks.web[0].warn is a string; write true or false"},
		{check(`"timeout": 2.5`), "1:39: healthchecks.web[0].timeout is 2.5; write a whole number from 0 to 3600"},
		{check(`"timeout": -1`), "1:39: healthchecks.web[0].timeout is -1; write a whole number from 0 to 3600"},
		{check(`"attempts": 1000, "timeout": 10`), "1:27: healthchecks.web[0] may take 4h10m0s; lower attempts, timeout or wait: together at most 1h0m0s"},
		// env
		{env(`"A": 1`), "1:15: env.A is a number; write a string in double quotes, or an object"},
		{env(`"A": {"value": true}`), "1:25: env.A.value is true; write a string, in double quotes"},
		{env(`"A": {"generator": "uuid"}`), `1:29: env.A.generator is uuid; the only generator is "secret"`},
		{env(`"A": {"generator": "secret", "value": "x"}`), "1:39: env.A has both a value and a generator; keep one of the two"},
		{env(`"A-B": "x"`), `1:10: variable A-B has a name that no environment carries; a name holds letters, digits and _ and does not begin with a digit`},
		{env(`"a": "x", "A": "y"`), "1:20: variables a and A differ only by case; keep one of the two"},
		{env(`"PATH": "x"`), "1:10: PATH decides which programs run; set it in the image instead"},
		{env(`"PORT": "x"`), "1:10: PORT is set by the host in every deploy; take it out"},
		{env(`"A": "\u0000"`), "1:15: env.A: the value holds a NUL byte; take it out: no environment carries one"},
		{env(`"A": "` + strings.Repeat("x", maxValue+1) + `"`), "1:15: env.A: the value is larger than 128 KiB; put it into a file of the image"},
		{env(`"A": "ChangeMe"`), "1:15: env.A is required and its value is a placeholder; leave the value out: then it must be set with config:set before the first deploy"},
		// all at once
		{"{\"env\": 1,\n\"scripts\": 2,\n\"formation\": 3,\n\"healthchecks\": 4}", "1:9: env is a number; write an object: { … }\n" +
			"app.json:2:12: scripts is a number; write an object: { … }\napp.json:3:14: formation is a number; write an object: { … }\napp.json:4:17: healthchecks is a number; write an object: { … }"},
	} {
		appJSON, found := ParseAppJSON("app.json", []byte(test.text))
		sound(t, found)
		same(t, told(found), "app.json:"+test.told)
		if appJSON != nil {
			t.Errorf("%s is accepted", test.text)
		}
	}
}

func FuzzAppJSON(f *testing.F) {
	for _, text := range []string{`{"scripts": {"dokku": {"predeploy": "x"}}, /* c */}`, `{"healthchecks": {"web": [{"path": "/", "port": 1}]}}`,
		`{"env": {"A": {"generator": "secret"}, "a": "\ud800"}}`, `{"formation": {"web": {"quantity": 1e3}}}`, "[[[{", `{"a": // x`, "{\"a\"/*\n*/:", "\r"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		appJSON, found := ParseAppJSON("app.json", text)
		sound(t, found)
		if found.Failed() != (appJSON == nil) {
			t.Fatalf("mistakes %v, AppJSON %v", found.Failed(), appJSON)
		}
		if appJSON == nil {
			return
		}
		for key, variable := range appJSON.Env {
			if EnvKey(key) != nil || strings.Contains(variable.Value, "\x00") {
				t.Fatalf("env %q=%q", key, variable.Value)
			}
		}
		for process, checks := range appJSON.Healthchecks {
			if err := ProcessName(process); err != nil {
				t.Fatal(err)
			}
			for _, check := range checks {
				if check.Attempts < 1 || check.Timeout <= 0 || check.Wait <= 0 || check.Port < 0 || check.Path != "" && check.Path[0] != '/' {
					t.Fatalf("%+v", check)
				}
			}
		}
	})
}
