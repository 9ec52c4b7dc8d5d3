package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dokku-push/dokku-push/triggers"
)

// records reads what the plugin has written down.
func (c *conformance) records() (all []record) {
	text, err := os.ReadFile(c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 5)
		if len(fields) != 5 {
			c.t.Fatalf("the record %q", line)
		}
		one := record{trigger: fields[0], input: fields[1], asked: fields[2] != "agent", args: strings.Split(fields[4], "\x1f")}
		if fields[3] == "0" {
			one.args = nil
		}
		if one.trigger == "commands" {
			one.trigger = "commands help"
		}
		all = append(all, one)
	}
	return all
}

// address compares what check-deploy was told with the container that it was about.
func (c *conformance) address() {
	checked := 0
	for _, process := range []string{"web", "worker"} {
		id := docker(c.t, "inspect", "--format", "{{.Id}}", c.app+"."+process+".1")
		ip := docker(c.t, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", id)
		port := map[string]string{"web": "5000"}[process]
		for _, one := range c.records() {
			switch {
			case one.trigger == "check-deploy" && one.args[1] == id:
				checked++
				if want := []string{c.app, id, process, port, ip, "1"}; !slices.Equal(one.args, want) {
					c.t.Errorf("check-deploy was told %q, want %q", one.args, want)
				}
			case one.trigger == "post-deploy" && process == "web" && one.args[0] == c.app && one.args[2] == ip:
				checked++
			}
		}
	}
	if checked < 3 { // web's, worker's and the address that post-deploy got
		c.t.Errorf("of what the containers are only %d calls were told", checked)
	}
}

// askAll lets a plugin ask everything that the core answers, and fire what plugins fire.
func (c *conformance) askAll() {
	id := docker(c.t, "inspect", "--format", "{{.Id}}", c.app+".web.1")
	chain, key := pair(c.t, c.app+".localhost", time.Now().AddDate(0, 1, 0))
	crt, private := filepath.Join(c.t.TempDir(), "crt"), filepath.Join(c.t.TempDir(), "key")
	put(c.t, crt, string(chain))
	put(c.t, private, string(key))
	particular := map[string][]string{ // the rest is made of the arguments' names
		"app-list": {"false"}, "app-create": {c.other}, "app-destroy": {c.other}, "app-maybe-create": {c.app},
		"app-restart": {"nobody"}, "release-and-deploy": {"nobody"}, "deploy": {"nobody"}, "git-from-image": {"nobody", "x"}, "git-from-directory": {"nobody", "/x"},
		"certs-set": {c.app, crt, private}, "certs-force": {c.app}, "procfile-get-command": {c.app, "web", "5000"}, "domains-add": {c.app, "asked.example.com"}, "config-set": {"--no-restart", c.app, "ASKED=yes"},
		"config-export": {c.app, "false", "false", "json"}, "ps-set-scale": {c.app, "true", "false", "worker=1"}, "ps-can-scale": {c.app, "true"},
		"builder-detect": {c.app, c.t.TempDir()}, "ports-get-property": {c.app, "proxy-port"}, "network-write-ipaddr": {c.app, "web", "1", "172.17.0.2"},
		"network-write-port": {c.app, "web", "1", "5000"}, "network-get-ipaddr": {c.app, "web", id}, "ports-set-detected": {c.app, "http:80:5000"},
		"service-list": nil, "service-action": {"post-create", "keeper", "store", c.app}, "user-auth-service": {"dokku", "admin", "keeper", "store"},
	}
	var text strings.Builder
	text.WriteString("export ASKED_BY_PLUGIN=yes\n")
	ask := func(name string, args []string) {
		text.WriteString("plugn trigger " + name)
		for _, arg := range args {
			text.WriteString(" " + quote(arg))
		}
		fmt.Fprintf(&text, " </dev/null || echo \"said no: $? %s\"\n", name)
	}
	asked := triggers.Core()
	for _, name := range []string{"domains-add", "service-list", "service-action", "user-auth-service"} {
		one, _ := triggers.Lookup(name)
		asked = append(asked, one)
	}
	order := func(name string) int { return slices.Index([]string{"app-create", "certs-set"}, name) } // before what ends them
	slices.SortStableFunc(asked, func(a, b triggers.Trigger) int { return order(b.Name) - order(a.Name) })
	for _, one := range asked {
		args, given := particular[one.Name]
		if !given {
			for _, arg := range one.Args {
				if !strings.HasPrefix(arg.Name, "[") {
					args = append(args, c.anyOf(arg.Name))
				}
			}
		}
		ask(one.Name, args)
	}
	plugin(c.t, c.Host, "asker", map[string]string{"ask-all": text.String()})
	r := dokku(c.t, c.Host, 0, "plugin:trigger", "ask-all")
	disable(c.t, c.Host, "asker")
	for line := range strings.Lines(r.Stdout) {
		if said, no := strings.CutPrefix(strings.TrimSpace(line), "said no: "); no {
			_, name, _ := strings.Cut(said, " ")
			if args := particular[name]; len(args) == 0 || args[0] != "nobody" {
				c.t.Errorf("a plugin that asks %s hears exit code %s\n%s", name, said, r.Stderr)
			}
		}
	}
}

// anyOf is a value for an argument of that name.
func (c *conformance) anyOf(name string) string {
	values := map[string]string{"APP": c.app, "SCHEDULER": "docker-local", "PROC_TYPE": "web", "KEY": "x", "VALUE": "y", "SOURCE_TYPE": "docker-image", "METADATA": "x",
		"WAIT": "60", "CONTAINER_ID": strings.Repeat("0", 64), "TEMPLATE": "x", "crt|key": "crt", "url|urls": "urls", "limit|reserve": "limit", "PROPERTY": "memory",
		"app-config|validate-config": "app-config"}
	value, ok := values[name]
	if !ok {
		c.t.Errorf("no value is known for the argument %s", name)
	}
	return value
}

// meanings tell whether a value can be what an argument of that name is.
func (c *conformance) meanings() map[string]func(string) bool {
	form := func(pattern string) func(string) bool {
		return regexp.MustCompile("^(?:" + pattern + ")$").MatchString
	}
	apps := form(`(conform|copied|cnb)-[a-z0-9-]+`)
	folder := func(value string) bool { return filepath.IsAbs(value) }
	address, port, builder, tag := form(`\d+\.\d+\.\d+\.\d+|`), form(`5000|8080|`), form(`dockerfile|pack`), form(`latest|kept|other`)
	return map[string]func(string) bool{
		"APP": apps, "OLD": apps, "NEW": apps, "SUBDOMAIN": apps, "CONTAINER_ID": form(`[0-9a-f]{64}`), "PROC_TYPE": form(`web|worker|`), "PORT": port, "IP": address,
		"INTERNAL_PORT": port, "INTERNAL_IP_ADDRESS": address, "CONTAINER_INDEX": form(`[1-9]`), "IMAGE_TAG": tag, "SCHEDULER": form(`docker-local`),
		"BUILDER": builder, "IMAGE_SOURCE_TYPE": builder, "SOURCECODE_WORK_DIR": folder, "TMP_WORK_DIR": folder, "REV": form(`[0-9a-f]{40}|`), "REFNAME": form(`refs/heads/.+`),
		"DOKKU_IMAGE": form(`dokku-push-test/cnb-builder:latest`), "IMAGE": form(`dokku/[a-z0-9-]+:latest`), "SOURCE_IMAGE": form(`dokku/[a-z0-9-]+:latest`), "TARGET_IMAGE": form(`dokku/[a-z0-9-]+:(kept|other)`),
		"IMAGE_REPO": form(`dokku/[a-z0-9-]+`), "VHOST": form(`localhost`), "DOMAIN": form(`.+\..+`), "ACTION": form(`add|remove|set|clear|reset|enable|disable`),
		"SSH_USER": form(`dokku|root`), "SSH_NAME": form(`admin|default`), "COMMAND": form(`.*`), "ARGS": form(`.+`), "PLUGIN": form(`guest`), "URL_TYPE": form(`urls?`),
		"KEY=VALUE... or KEY": form(`(COLOUR=blue|TOKEN|SHAPE=round|SIZE=big|SIZE|EVERYWHERE=yes|NO_VHOST=[01]|ASKED=yes)`), "PHASE": form(`deploy|run`), "REMOVE": form(`true|false`),
	}
}

// fits tells what is wrong with the arguments of a call that the agent made.
func (c *conformance) fits(one record, known triggers.Trigger) string {
	meanings := c.meanings()
	if known.Name == "commands help" { // the words of the command itself
		return ""
	}
	for n, value := range one.args {
		if n >= len(known.Args) && (len(known.Args) == 0 || !strings.Contains(known.Args[len(known.Args)-1].Name, "...")) {
			return "has too many"
		}
		name := known.Args[min(n, len(known.Args)-1)].Name
		if name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"); !strings.Contains(name, "|") || meanings[name] != nil {
			name = strings.TrimSuffix(name, "...")
			if means := meanings[name]; means == nil || value != "--global" && !means(value) || value == "--global" && known.Name != "post-config-update" && name != "COMMAND" {
				return fmt.Sprintf("%q is no %s", value, name)
			}
			continue
		}
		if !slices.Contains(strings.Split(name, "|"), value) {
			return fmt.Sprintf("%q is none of %s", value, name)
		}
	}
	if missing := len(one.args); missing < len(known.Args) {
		if next := known.Args[missing].Name; !strings.HasPrefix(next, "[") && known.Name != "post-config-update" && known.Name != "pre-restore" {
			return "has no " + next
		}
	}
	return ""
}

// judge holds what happened against the catalogue and prints the table of it.
func (c *conformance) judge() {
	fired := map[string][]record{}
	for _, one := range c.records() {
		fired[one.trigger] = append(fired[one.trigger], one)
	}
	var table bytes.Buffer
	columns := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	fmt.Fprintln(columns, "TRIGGER\tFIRED\tBY\tARGUMENTS\tSIDE")
	for _, known := range triggers.All() {
		by := c.judgeOne(known, fired[known.Name])
		shown := ""
		if calls := fired[known.Name]; len(calls) > 0 {
			shown = strings.ReplaceAll(strings.Join(calls[0].args, " "), c.app, "APP")
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%.90s\t%s\n", known.Name, strconv.Itoa(len(fired[known.Name])), by, shown, known.Side)
		delete(fired, known.Name)
	}
	for name := range fired {
		c.t.Errorf("%s was fired and is not in the catalogue", name)
	}
	_ = columns.Flush()
	c.t.Logf("\n%s", table.String())
	if text, err := os.ReadFile(c.log); err != nil || bytes.Contains(text, []byte("not to be seen")) {
		c.t.Errorf("a plugin was told a secret's value (%v)", err)
	}
}

// judgeOne looks at all calls of one trigger and says who made them.
func (c *conformance) judgeOne(known triggers.Trigger, calls []record) (by string) {
	agent := slices.DeleteFunc(slices.Clone(calls), func(one record) bool { return one.asked })
	onlyAsked := slices.ContainsFunc(triggers.Core(), func(one triggers.Trigger) bool { return one.Name == known.Name }) ||
		slices.Contains([]string{"domains-add", "service-list", "service-action", "user-auth-service"}, known.Name) // plugins fire these
	switch {
	case known.Side == triggers.Never && len(calls) > 0:
		c.t.Errorf("%s was fired %d times; the catalogue says that nobody fires it", known.Name, len(calls))
	case known.Side == triggers.Never:
		return "nobody"
	case len(calls) == 0, len(agent) == 0 && !onlyAsked:
		c.t.Errorf("nothing fires %s: %s", known.Name, known.When)
		return "nobody"
	}
	for _, one := range calls {
		if known.Stdin != triggers.Inherited && one.input != "1" {
			c.t.Errorf("%s: its input does not end (read says %s)", known.Name, one.input)
		}
	}
	for _, one := range agent {
		if problem := c.fits(one, known); problem != "" {
			c.t.Errorf("%s %q: %s", known.Name, one.args, problem)
			break
		}
	}
	printed := strings.Contains(c.printed.String(), "<<"+known.Name+">>")
	switch {
	case len(agent) == 0:
		return "plugins"
	case known.Stdout == triggers.Shown && !printed && known.Name != "user-auth": // that one's words are shown where it refuses
		c.t.Errorf("%s: nobody sees what it prints", known.Name)
	case known.Stdout == triggers.Ignored && printed:
		c.t.Errorf("%s: what it prints is shown", known.Name)
	}
	return "the agent"
}
