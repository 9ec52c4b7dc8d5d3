package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Each line is a value that dokku.hcl may not have, and what is told.
func TestValues(t *testing.T) {
	in := func(block string) func(string) string {
		return func(attribute string) string { return block + " {\n" + attribute + "\n}" }
	}
	web, checks, storage, options, nginx, review := in(`formation "web"`), in("checks"), in("storage"), in("docker_options"), in("nginx"), in("review")
	const (
		domain  = "; write a name such as www.example.com"
		folder  = "; write a folder below /var/lib/dokku/data/storage, or a volume's name"
		owner   = "; its owner can say so there, with docker-options:add"
		address = "; write an address that git clones over https or ssh, such as https://github.com/dokku/dokku-redis.git"
		decides = " is what the deploy itself decides; take it out"
		gives   = " gives the app a part of the host" + owner
		noShell = "; write the value out: no shell reads it"
		cpus    = "; write a number of CPUs from 0.01 to 1024, such as 0.5"
		times   = "; write a time such as 30s, 5m or 2h, or a whole number of seconds"
	)
	for _, test := range []struct{ text, told string }{
		// secrets
		{`secrets = ["PATH"]`, "1:12: secrets: PATH decides which programs run; set it in the image instead"},
		{`secrets = ["A", "A"]`, "1:17: secrets has A twice; keep one of the two"},
		{`secrets = "A"`, "1:11: secrets is not a list; write secrets = [\"API_TOKEN\"]"},
		{`secrets = [1]`, "1:12: secrets: an element is not a string; write it in double quotes"},
		{"secrets = [\"A\"]\nconfig {\n A = 1\n}", "1:1: A is in config and in secrets; keep one of the two"},
		// domains
		{`domains = ["a;b"]`, `1:12: domains: "a;b" holds more than letters, digits, hyphens and dots` + domain},
		{`domains = ["a b.example"]`, `1:12: domains: "a b.example" holds more than letters, digits, hyphens and dots` + domain},
		{`domains = ["a.*.example"]`, `1:12: domains: "a.*.example" has a * that is not its first label; write *.example.com, or each name`},
		{`domains = ["a_b.example"]`, `1:12: domains: a_b.example holds more than letters, digits, hyphens and dots` + domain},
		{`domains = ["Example.com"]`, `1:12: domains: Example.com holds upper-case letters; write example.com`},
		{`domains = ["bücher.example"]`, `1:12: domains: "b\u00fccher.example" is not ASCII; write it in punycode: xn--…`},
		{`domains = ["192.0.2.1"]`, `1:12: domains: 192.0.2.1 is an IP address` + domain},
		{`domains = ["a.example."]`, `1:12: domains: a.example. ends with a dot; write it without`},
		{`domains = ["localhost"]`, `1:12: domains: localhost is the host itself` + domain},
		{`domains = ["https://a.example"]`, `1:12: domains: "https://a.example" is a URL; write only the name in it`},
		{`domains = ["a..example"]`, `1:12: domains: a..example has two dots in a row or begins with one` + domain},
		{`domains = ["-a.example"]`, `1:12: domains: -a.example has a part that begins or ends with a hyphen` + domain},
		{`domains = ["a\nb"]`, `1:12: domains: "a\nb" holds more than letters, digits, hyphens and dots` + domain},
		{`domains = [""]`, `1:12: domains: "" is empty` + domain},
		{`domains = ["` + strings.Repeat("a", 64) + `.example"]`, `1:12: domains: "` + strings.Repeat("a", 60) + `\u2026" has a part longer than 63 bytes` + domain},
		// ports
		{`ports = ["80:5000"]`, `1:10: ports: "80:5000" is no port map; write scheme:host:container, such as http:80:5000`},
		{`ports = ["htp:80:5000"]`, `1:10: ports: "htp:80:5000" has the scheme htp; did you mean http?`},
		{`ports = ["http:0:5000"]`, `1:10: ports: "http:0:5000" has the port 0; write a port from 1 to 65535`},
		{`ports = ["http:80:65536"]`, `1:10: ports: "http:80:65536" has the port 65536; write a port from 1 to 65535`},
		{`ports = ["http:080:5000"]`, `1:10: ports: "http:080:5000" has the port 080; write a port from 1 to 65535`},
		{`ports = ["http:80:5000", "https:80:5001"]`, `1:26: ports: https:80:5001 and http:80:5000 want the same port of the host; keep one of the two`},
		// formation
		{web(`quantity = -1`), "2:12: quantity is -1; write a whole number from 0 to 1000"},
		{web(`quantity = 1.5`), "2:12: quantity is 1.5; write a whole number from 0 to 1000"},
		{web(`quantity = "01"`), "2:12: quantity is 01; write a whole number from 0 to 1000"},
		{web(`quantity = 1e9`), "2:12: quantity is 1000000000; write a whole number from 0 to 1000"},
		{web(`quantity = true`), "2:12: quantity is not a number; write a whole number from 0 to 1000"},
		{web(`quantity = []`), "2:12: quantity is not a number; write a whole number from 0 to 1000"},
		{web(`memory = 512`), `2:10: memory is not a string; write a size with its unit, such as "512m"`},
		{web(`memory = "512"`), `2:10: memory has no unit; write 512m if megabytes are meant`},
		{web(`memory = "512 MB"`), `2:10: memory is "512 MB"; write a size such as 512m or 2g`},
		{web(`memory = "1m"`), `2:10: memory is less than a container needs to start; write 6m or more`},
		{web(`memory = "999999999999999t"`), `2:10: memory is larger than any machine; write a size such as 512m or 2g`},
		{web(`cpu = 0`), `2:7: cpu is 0` + cpus},
		{web(`cpu = "two"`), `2:7: cpu is two` + cpus},
		{web(`cpu = -1`), `2:7: cpu is -1` + cpus},
		{web(`stop_timeout = "soon"`), `2:16: stop_timeout is soon` + times},
		{web(`stop_timeout = "1500ms"`), `2:16: stop_timeout is 1500ms, which is not whole seconds` + times},
		{web(`stop_timeout = 0`), `2:16: stop_timeout is 0; write at least 1s`},
		{web(`stop_timeout = "2h"`), `2:16: stop_timeout is 2h; write at most 1h0m0s`},
		{web(`max_parallel = -2`), `2:16: max_parallel is -2; write a whole number from -1 to 1000`},
		{`formation "Web_1" {}`, "1:11: process type Web_1 holds more than lower-case letters, digits and hyphens; write web-1"},
		{`formation "release" {}`, "1:11: release runs once in each deploy and is never scaled; take the block out"},
		{`formation {}`, "1:1: formation has one process type; write formation \"PROCESS TYPE\" { … }"},
		{"formation \"a\" {}\nformation \"a\" {}", "2:1: formation a stands twice; write one block with everything in it"},
		// checks
		{checks(`disabled = ["Web"]`), "2:13: disabled: process type Web holds more than lower-case letters, digits and hyphens; write web"},
		{checks(`wait = -5`), "2:8: wait is -5; write at least 0s"},
		{checks(`wait = "-5s"`), `2:8: wait is -5s` + times},
		{checks(`wait_to_retire = "2d"`), "2:18: wait_to_retire is 2d; write at most 24h0m0s"},
		{checks(`interval = 5`), "2:1: checks.interval is not known; known here: disabled, skipped, wait, wait_to_retire"},
		// storage
		{storage(`mounts = ["/data"]`), `2:11: mounts: /data is no mount; write HOST_PATH_OR_VOLUME:CONTAINER_PATH, such as /var/lib/dokku/data/storage/app:/data`},
		{storage(`mounts = ["/:/host"]`), `2:11: mounts: "/:/host" mounts /, which belongs to the host itself` + folder},
		{storage(`mounts = ["/etc:/etc2"]`), `2:11: mounts: "/etc:/etc2" mounts /etc, which belongs to the host itself` + folder},
		{storage(`mounts = ["/var:/v"]`), `2:11: mounts: "/var:/v" mounts /var, which belongs to the host itself` + folder},
		{storage(`mounts = ["/home/dokku/x:/v"]`), `2:11: mounts: "/home/dokku/x:/v" mounts /home/dokku/x, which belongs to the host itself` + folder},
		{storage(`mounts = ["/var/run/docker.sock:/s"]`), `2:11: mounts: "/var/run/docker.sock:/s" mounts /var/run/docker.sock, which belongs to the host itself` + folder},
		{storage(`mounts = ["./data:/data"]`), `2:11: mounts: "./data:/data" has a host's path that is not absolute` + folder},
		{storage(`mounts = ["/srv/../etc:/data"]`), `2:11: mounts: "/srv/../etc:/data" has a host's path that is not absolute` + folder},
		{storage(`mounts = ["/srv/a:/"]`), `2:11: mounts: "/srv/a:/" has the container's path /; write an absolute path below /, such as /data`},
		{storage(`mounts = ["/srv/a:/data:rx"]`), `2:11: mounts: "/srv/a:/data:rx" has the option rx; did you mean ro?`},
		{storage(`mounts = ["x:/data"]`), `2:11: mounts: "x:/data" names no volume` + folder},
		{storage(`mounts = ["/srv/a:/data", "/srv/b:/data/"]`), `2:27: mounts: two of them lead to /data; keep one of the two`},
		// docker options
		{options(`deploy = ["--privileged"]`), `2:11: deploy: --privileged` + gives},
		{options(`deploy = ["--cap-add SYS_ADMIN"]`), `2:11: deploy: "--cap-add SYS_ADMIN"` + gives},
		{options(`deploy = ["--device=/dev/sda"]`), `2:11: deploy: "--device=/dev/sda"` + gives},
		{options(`deploy = ["--pid=host"]`), `2:11: deploy: "--pid=host" shares what is not the app's` + owner},
		{options(`run = ["--security-opt seccomp=unconfined"]`), `2:8: run: "--security-opt seccomp=unconfined" takes away what confines the container` + owner},
		{options(`deploy = ["--name x"]`), `2:11: deploy: "--name x"` + decides},
		{options(`deploy = ["--network host"]`), `2:11: deploy: "--network host"` + decides},
		{options(`deploy = ["--restart always"]`), `2:11: deploy: "--restart always"` + decides},
		{options(`deploy = ["--label com.dokku.app-name=x"]`), `2:11: deploy: "--label com.dokku.app-name=x" sets a label of Dokku's own; take it out`},
		{options(`deploy = ["-v /:/host"]`), `2:11: deploy: "-v /:/host" mounts /, which belongs to the host itself` + folder},
		{options(`deploy = ["--mount type=bind,source=/etc,target=/e"]`), `2:11: deploy: "--mount type=bind,source=/etc,target=/e" mounts /etc, which belongs to the host itself` + folder},
		{options(`deploy = ["--env A=$(id)"]`), `2:11: deploy: "--env A=$(id)" holds $( ), a backtick or a control character` + noShell},
		{options("deploy = [\"--env A=`id`\"]"), "2:11: deploy: \"--env A=`id`\" holds $( ), a backtick or a control character" + noShell},
		{options(`deploy = ["--env A=1\n--privileged"]`), `2:11: deploy: "--env A=1\n--privileged" holds $( ), a backtick or a control character` + noShell},
		{options(`deploy = ["--env A=1 --privileged"]`), `2:11: deploy: "--env A=1 --privileged" holds more than one option; write a text for each`},
		{options(`deploy = ["--ulimits nofile=1"]`), `2:11: deploy: "--ulimits nofile=1" is not known to docker; did you mean --ulimit?`},
		{options(`build = ["--network host"]`), `2:10: build: "--network host" shares what is not the app's` + owner},
		{options(`deploy = ["nginx"]`), `2:11: deploy: nginx is no option of docker; write one option, such as --shm-size 256m`},
		// nginx
		{nginx(`client_max_body_size = "1m"`), "2:1: nginx.client_max_body_size is no property of nginx:set; did you mean client-max-body-size?"},
		{nginx(`client-max-body-size = "1m; include /etc/shadow"`), "2:24: client-max-body-size holds a character that nginx would read as its own; take it out"},
		{nginx(`client-max-body-size = "much"`), "2:24: client-max-body-size is much; write a size such as 20m"},
		{nginx(`hsts = "on"`), "2:8: hsts is on; write true or false"},
		{nginx(`access-log-path = "/etc/cron.d/x"`), "2:19: access-log-path is /etc/cron.d/x; write off, or a file below /var/log/nginx"},
		{nginx(`error-log-path = "/var/log/nginx/../../x"`), "2:18: error-log-path is /var/log/nginx/../../x; write off, or a file below /var/log/nginx"},
		{nginx(`bind-address-ipv4 = "host"`), "2:21: bind-address-ipv4 is host; write an IP address"},
		{nginx(`nginx-conf-sigil-path = "../x"`), "2:25: nginx-conf-sigil-path is ../x; write a path inside the project, such as config/nginx.conf.sigil"},
		// services, review
		{`service "db" {}`, `1:1: service db has no plugin; write plugin = "postgres" in it`},
		{`service "db" { plugin = "Post" }`, `1:25: plugin is Post; write the plugin's name on the host, such as postgres`},
		{"service \"db\" {\n plugin = \"postgres\"\n link = \"maybe\"\n}", `3:9: link is maybe; write true or false`},
		{`service "a b" { plugin = "x" }`, `1:9: service has the name "a b"; write letters, digits and hyphens, such as production`},
		{review(`domain = "*.example.com"`), `2:10: domain is no domain to make names under; write it without *., such as review.example.com`},
		{review(`ttl = "10s"`), `2:7: ttl is 10s; write at least 1m0s`},
		{review(`max = 0`), `2:7: max is 0; write a whole number from 1 to 1000`},
		{review(`inherit = ["GIT_REV"]`), `2:12: inherit: GIT_REV is set by the host in every deploy; take it out`},
		// build, image
		{"build {\n builder = \"image\"\n}", `2:2: the builder image has no image; write image = "registry.example.com/team/app:1.2" beside it`},
		{"build {\n builder = \"pack\"\n image = \"x\"\n}", `3:2: image is used by the builder image alone; write builder = "image", or take image out`},
		{"build {\n secrets = [\"A-B\"]\n}", "2:13: secrets: variable A-B has a name that no environment carries; a name holds letters, digits and _ and does not begin with a digit"},
		{"build {\n dir = \"/x\"\n}", "2:8: dir is absolute; write a path inside the project, with slashes, such as web/app"},
		{"build {\n pack {\n buildpacks = [\"a b\"]\n }\n}", `3:16: buildpacks: "a b" is no buildpack; write an id such as heroku/nodejs, with @version if one is meant, or an image`},
		{"build {\n cache {\n volume = \"x\"\n }\n}", `3:11: volume is x; write true or false`},
		{"build {\n cache {\n image = \"https://x/y\"\n }\n}", `3:10: image is no image of a registry; write host/path:tag, such as registry.example.com/team/app:cache`},
		{`image { platforms = ["amd64"] }`, `1:22: platforms: amd64 is no platform; write os/architecture, such as linux/amd64`},
		// environments, servers
		{`environment "a b" {}`, `1:13: environment has the name "a b"; write letters, digits and hyphens, such as production`},
		{"environment \"p\" {\n app = \"X\"\n}", "2:8: app names no app: app name X holds more than lower-case letters, digits, hyphens and dots; write x"},
		{"environment \"p\" {\n environment \"q\" {}\n}", "2:2: environment.environment is not known; known here: app, build, checks, config, docker_options, domains, formation, host, image, nginx, ports, review, secrets, service, storage"},
		{"environment \"p\" {\n service \"db\" {}\n}", `2:2: service db has no plugin; write plugin = "postgres" in it`},
		{"environment \"p\" {}\nenvironment \"p\" {}", "2:1: environment p stands twice; write one block with everything in it"},
		{"server \"a\" {\n plugin \"x\" { url = \"ext::sh -c id\" }\n}", "2:21: url is no URL" + address},
		{"server \"a\" {\n plugin \"x\" { url = \"file:///etc\" }\n}", "2:21: url is no address to clone from" + address},
		{"server \"a\" {\n plugin \"x\" { url = \"https://u:p@h/x\" }\n}", "2:21: url holds credentials; take them out: the file is read by many"},
		{"server \"a\" {\n plugin \"x\" { url = \"--upload-pack=x\" }\n}", "2:21: url is no address to clone from" + address},
		{"server \"a\" {\n plugin \"x\" {\n url = \"https://h/x\"\n committish = \"-x\"\n }\n}", "4:15: committish is no name of a revision; write a tag, a branch or a commit"},
		{"server \"a\" {\n ssh_key \"x\" { public_key = \"command=\\\"id\\\" ssh-ed25519 AAAA\" }\n}", "2:29: public_key is no public key; write one line of a .pub file, without options before it"},
		{"server \"a\" {\n apps = [\"X\"]\n}", "2:10: apps: X names no app: app name X holds more than lower-case letters, digits, hyphens and dots; write x"},
	} {
		app, found := load(test.text)
		sound(t, found)
		if got, want := told(found), "dokku.hcl:"+test.told; got != want {
			t.Errorf("%.100s\n got %s\nwant %s", test.text, got, want)
		}
		if app != nil {
			t.Errorf("%.100s is accepted", test.text)
		}
	}
}

// A value from the environment is told of without itself: it may be a secret.
func TestSecretsAreNotTold(t *testing.T) {
	const secret = "hunter2-Wrong"
	names := func(string) (string, bool) { return secret, true }
	for _, text := range []string{
		`app = env("X")`, `domains = [env("X")]`, "build {\n builder = env(\"X\")\n}", `ports = ["http:${env("X")}:1"]`,
		"formation \"web\" {\n memory = env(\"X\")\n}", "nginx {\n hsts = env(\"X\")\n}", "checks {\n wait = env(\"X\")\n}", "build {\n args = { A = join(\",\", [env(\"X\"), 1]), B = 1 + env(\"X\") }\n}",
		"storage {\n mounts = [\"${env(\"X\")}:a\"]\n}", "host \"a\" {\n address = \"h:${env(\"X\")}\"\n}",
	} {
		app, found := Load(project(map[string]string{manifestName: text}), Options{Getenv: names})
		if app != nil || strings.Contains(told(found), "hunter2") {
			t.Errorf("%s: %s", text, told(found))
		}
	}
}

// What Dokku takes is taken.
func TestGoodValues(t *testing.T) {
	for _, text := range []string{
		`domains = []`, `domains = ["xn--bcher-kva.example", "*.example.com", "0.example", "shop.localhost"]`, `ports = ["udp:53:53", "tcp:53:53"]`,
		"docker_options {\n deploy = [\"--env A=1\", \"-p 9000:9000\", \"--link dokku.postgres.db:dokku-postgres-db\", \"--label a=b\", \"--security-opt no-new-privileges\", \"--cap-drop ALL\"]\n}",
		"formation \"web\" {\n memory = \"1GiB\"\n cpu = \"2\"\n}", "formation \"web\" { quantity = env(\"N\") }",
		"service \"db\" { plugin = \"postgres\" }", "build { context = \".\" }", "formation \"worker\" {}",
		"environment \"p\" {\n config { A = env(\"NOT_SET\") }\n domains = [env(\"NOT_SET\"), \"${env(\"NOT_SET\")}.example\"]\n app = env(\"NOT_SET\")\n}",
		"server \"s\" {\n address = env(\"NOT_SET\")\n plugin \"x\" { url = \"git@github.com:a/b.git\" }\n}",
		`domains = true ? ["a.example"] : []`,
	} {
		app, found := Load(project(map[string]string{manifestName: text}), Options{Getenv: func(key string) (string, bool) { return "3", key == "N" }})
		if app == nil {
			t.Errorf("%s: %s", text, told(found))
		}
	}
}

// A secret in a file that is committed is told of, and not shown.
func TestOpenSecrets(t *testing.T) {
	_, found := load("config {\n API_TOKEN = \"abcdef123\"\n URL = \"redis://:pw@h/1\"\n PASSWORD = env(\"STAGE\")\n TOKEN = \"\"\n AUTHOR = \"somebody\"\n}\nbuild {\n args = { NPM_TOKEN = \"abcdef123\" }\n}")
	sound(t, found)
	same(t, told(found), `advice: dokku.hcl:2:2: API_TOKEN looks like a secret, and the file is read by many; take it out and name it in secrets = ["…"]`+"\n"+
		`advice: dokku.hcl:3:2: URL looks like a secret, and the file is read by many; take it out and name it in secrets = ["…"]`+"\n"+
		`advice: dokku.hcl:9:11: NPM_TOKEN looks like a secret, and the file is read by many; take it out and name it in build { secrets = ["…"] }`)
}

// A file as large as may be is read in a moment, whatever fills it.
func TestLargeFiles(t *testing.T) {
	fill := func(before, line, after string) string {
		var text strings.Builder
		text.WriteString(before)
		for i := 0; text.Len()+len(line)+len(after)+16 < maxFile; i++ {
			fmt.Fprintf(&text, line, i)
		}
		return text.String() + after
	}
	for name, files := range map[string]map[string]string{
		"native config":  {manifestName: fill("config {\n", "A%d = \"x\"\n", "}\n")},
		"twin config":    {twinName: fill("{\"config\": {", "\"A%d\":\"x\",", "\"B\":\"x\"}}")},
		"domains":        {manifestName: fill("domains = [", "\"a%d.example\",", "]\n")},
		"formation":      {manifestName: fill("", "formation \"a%d\" {}\n", "")},
		"mistakes":       {manifestName: fill("", "b%d = 1\n", "")},
		"twin mistakes":  {twinName: fill("{", "\"b%d\":1,", "\"c\":1}")},
		"env":            {appJSONName: fill("{\"env\": {", "\"A%d\":\"x\",", "\"B\":\"x\"}}")},
		"app.json lists": {appJSONName: fill("{\"cron\": [", "{\"command\": \"%d\"},", "{}]}")},
		"Procfile":       {procfileName: fill("", "a%d: x\n", "")},
		"CHECKS":         {checksName: fill("", "/%d x\n", "")},
		"project":        {projectName: fill("[io.buildpacks]\n", "a%d = 1\n", "")},
		"project groups": {projectName: fill("", "[[io.buildpacks.group]]\nid = \"a%d\"\n", "")},
	} {
		begin := time.Now()
		_, found := Load(project(files), Options{})
		sound(t, found)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%s took %s", name, took)
		} else {
			t.Logf("%s: %s, %d diagnostics", name, took, len(found))
		}
	}
}

// TestNumbers: a number that becomes another text than the written one is told, for 1.20 is no
// version of anything; it is taken all the same.
func TestNumbers(t *testing.T) {
	const hint = "; write it in double quotes if it is meant as it stands"
	app, found := Load(project(map[string]string{"dokku.hcl": "config {\n  A = 1.20\n  B = 2\n  C = \"1.20\"\n  D = -1\n  E = 1e3\n}\nbuild {\n  args = { GO = 1.10, OK = 1.1 }\n}\n", "Dockerfile": ""}), Options{})
	same(t, told(found), "advice: dokku.hcl:2:7: A is a number, and 1.20 is 1.2"+hint+"\nadvice: dokku.hcl:6:7: E is a number, and 1e3 is 1000"+hint+"\nadvice: dokku.hcl:9:17: GO is a number, and 1.10 is 1.1"+hint)
	if app == nil || app.Config["A"] != "1.2" || app.Config["D"] != "-1" {
		t.Errorf("%+v", app)
	}
	_, found = Load(project(map[string]string{"dokku.hcl.json": `{"config": {"A": 1.20, "B": 2, "C": "1.20", "D": true}}`, "Dockerfile": ""}), Options{})
	same(t, told(found), "advice: dokku.hcl.json:1:18: A is a number, and 1.20 is 1.2"+hint)
}
