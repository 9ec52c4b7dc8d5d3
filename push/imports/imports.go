// Package imports reads a running Dokku host by its own commands and writes what it found
// as dokku.hcl: one for an app, or a server block for the host. It asks in the forms that
// old and new Dokkus know, changes nothing on the host, and refuses an answer that it does
// not understand, rather than to leave something out unsaid.
//
// The value of a config key is a secret unless it is plainly none: secrets are named, and
// their values never leave this package. What dokku.hcl has no word for is a comment at the
// end of the file: it stays on the host as it is.
package imports

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Answer is what a Dokku command wrote, and its exit code.
type Answer struct {
	Out, Err string
	Exit     int
}

// Command runs one Dokku command on the host. An error means that the outcome is not known.
type Command func(ctx context.Context, argv []string) (Answer, error)

// Options say where to read.
type Options struct {
	Run     Command
	Address string   // of the host, as a push reaches it: [user@]host[:port]
	HostKey string   // the pinned one; empty: none
	Plain   []string // config keys whose values are no secrets
}

// Draft is a file to write.
type Draft struct {
	Text    string
	Secrets []string // config keys whose values a push takes from its environment
	Stays   []string // what is on the host and not in the file, a line each
	Unknown []string // keys of Options.Plain that are not there
}

// look is one app or the host while it is read.
type look struct {
	*host
	options  Options
	app      string // empty: the host itself
	file     file
	services []service
	linked   []string // the plugins and services of links, as their containers are called
	config   []row    // values that are no secrets
	secrets  []string
	stays    []string
	unknown  []string
	process  map[string][]row
}

// Apps lists the apps that the key may see.
func Apps(ctx context.Context, o Options) ([]string, error) {
	h := &host{run: o.Run}
	answer, err := h.command(ctx, "apps:list")
	if err != nil {
		return nil, err
	}
	if answer.Exit != 0 && strings.Contains(answer.Out+answer.Err, "haven't deployed any applications") {
		return nil, nil
	}
	if err := answer.good("apps:list"); err != nil {
		return nil, err
	}
	var apps []string
	for n, line := range lines(answer.Out) {
		name := strings.TrimSpace(line)
		if name == "" || strings.HasPrefix(name, "=====> ") {
			continue
		}
		if manifest.ExistingAppName(name) != nil {
			return nil, unknown("apps:list", n, line)
		}
		apps = append(apps, name)
	}
	return apps, nil
}

// App reads an app. An app that is not there is api.NotFound; an answer that is not
// understood is api.WrongProtocol.
func App(ctx context.Context, o Options, app string) (*Draft, error) {
	if err := manifest.ExistingAppName(app); err != nil {
		return nil, api.Errorf(api.Usage, "name the app", "%w", err)
	}
	l := &look{host: &host{run: o.Run}, options: o, app: app, process: map[string][]row{}}
	if err := l.exists(ctx); err != nil {
		return nil, err
	}
	for _, read := range []func(context.Context) error{l.dockerOptions, l.links, l.readConfig, l.domains, l.ports, l.processes,
		l.resources, l.checks, l.nginx, l.builder, l.certificate, l.cron, l.surroundings} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	l.writeApp()
	return l.draft(func(text string) string {
		loaded, found := manifest.Load(document(text), manifest.Options{})
		if found.Failed() {
			return found.Error()
		}
		if loaded.Name != app {
			return "it names another app"
		}
		return ""
	})
}

func (l *look) exists(ctx context.Context) error {
	answer, err := l.command(ctx, "apps:report", l.app)
	if err != nil {
		return err
	}
	if answer.Exit != 0 {
		said := answer.said()
		if strings.Contains(said, "does not exist") || strings.Contains(said, "there is no app") {
			return api.Errorf(api.NotFound, "import", "there is no app %s on this host", l.app).WithHint("ssh %s apps:list lists them", l.options.Address)
		}
		return answer.good("apps:report " + l.app)
	}
	_, err = parseReport("apps:report "+l.app, "app", l.app, answer.Out)
	return err
}

// stay notes what is on the host and not in the file.
func (l *look) stay(sentence string) {
	if !slices.Contains(l.stays, sentence) {
		l.stays = append(l.stays, sentence)
	}
}

// takes tells whether dokku.hcl takes a piece of text. What it does not take stays on the
// host, with the reason.
func (l *look) takes(what, text string) bool {
	problem := refused(text)
	if problem != "" {
		l.stay(what + ": dokku.hcl does not take it: " + problem)
	}
	return problem == ""
}

// draft ends the file and reads it as a push would: a file that does not load is not handed
// out.
func (l *look) draft(problem func(text string) string) (*Draft, error) {
	text := l.file.text(l.options.Address, l.stays)
	if wrong := problem(text); wrong != "" {
		return nil, api.Errorf(api.Unclassified, "import", "what was read makes no sound file: %s", wrong).
			WithHint("nothing was written; this is a mistake of dokku-push import")
	}
	return &Draft{Text: text, Secrets: l.secrets, Stays: l.stays, Unknown: l.unknown}, nil
}

// writeApp puts the rest into the file, in the order in which people read it.
func (l *look) writeApp() {
	settings := l.file.settings
	l.file.settings = nil
	l.file.set("app", quote(l.app))
	if len(l.secrets) > 0 {
		l.file.set("secrets", list(l.secrets))
	}
	l.file.settings = append(l.file.settings, settings...)
	rest := l.file.blocks.String()
	l.file.blocks.Reset()
	l.writeHost()
	l.file.block("config", l.config)
	for _, process := range slices.Sorted(maps.Keys(l.process)) {
		l.file.block("formation "+quote(process), l.process[process])
	}
	l.file.blocks.WriteString(rest)
}

// writeHost writes where the app was found.
func (l *look) writeHost() {
	rows := []row{{"address", quote(l.options.Address)}}
	if l.options.HostKey != "" {
		rows = append(rows, row{"host_key", quote(l.options.HostKey)})
	}
	var trial file
	trial.block(`host "production"`, rows)
	if l.takes("host "+l.options.Address, trial.blocks.String()) {
		l.file.blocks.WriteString(trial.blocks.String())
	}
}
