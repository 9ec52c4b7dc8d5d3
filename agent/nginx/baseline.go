package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Baseline tests the tree before anything changes. An app's file that nginx does
// not take is put aside beside it, with what nginx took last, or else a site that
// answers 502, in its place; each is named in the warnings. An error means that
// nginx cannot work whatever the apps do. A tree that nginx serves is not tested again.
func (n *Nginx) Baseline(ctx context.Context, app string) (warnings []string, err error) {
	unlock, err := n.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !n.running() {
		return nil, api.Errorf(api.Precondition, opTest, "%w", errNotRunning).WithHint("start nginx on the host")
	}
	if same, err := n.asLoaded(); err != nil || same {
		return nil, err
	}
	return n.repair(ctx, "")
}

// remedy is one way to make a broken app harmless.
type remedy int

const (
	lastGood   remedy = iota // what nginx took last
	answer502                // a site that says 502, with what plugins add to it
	bare502                  // the same without what plugins add
	noRemedies               // nothing helps
)

// broken is an app whose file was put aside.
type broken struct {
	app, aside string
	next       remedy
	first      *problem
}

// repair puts broken files aside until nginx takes the tree. blameless is an app
// whose file is being changed just now: that it is broken is its caller's matter.
// If nginx takes the tree in no way, all files are as they were.
func (n *Nginx) repair(ctx context.Context, blameless string) (warnings []string, err error) {
	patients := map[string]*broken{}
	var order []*broken
	var includes []*include
	undo := func(err error) ([]string, error) {
		for _, b := range order {
			err = errors.Join(err, n.putBack(b))
		}
		for _, i := range includes {
			err = errors.Join(err, i.putBack())
		}
		return nil, err
	}
	for {
		found, err := n.test(ctx)
		if err != nil {
			return undo(err)
		}
		if found == nil {
			return append(warningsOf(includes), warningsFor(order)...), nil
		}
		if found.App == "" && (found.File == "" || found.File == n.probeConf()) {
			if found.App, err = n.suspect(ctx); err != nil {
				return undo(err)
			}
		}
		if found.App == "" || found.App == blameless {
			code := api.Precondition
			if blameless != "" {
				code = api.ProxyFailed
			}
			return undo(found.err(code))
		}
		if i, err := n.lastInclude(found); err != nil {
			return undo(err)
		} else if i != nil {
			includes = append(includes, i)
			continue
		}
		patient := patients[found.App]
		if patient == nil {
			patient = &broken{app: found.App, first: found}
			patients[found.App] = patient
			if err := n.putAside(patient); err != nil {
				return undo(err)
			}
			order = append(order, patient)
		}
		if err := n.treat(ctx, patient); err != nil {
			return undo(err)
		}
	}
}

// suspect finds the app whose file nginx does not take even when it is alone.
func (n *Nginx) suspect(ctx context.Context) (string, error) {
	apps, err := n.apps()
	if err != nil {
		return "", err
	}
	for _, app := range apps {
		dir, err := n.alone(apps, app)
		if err != nil {
			return "", err
		}
		found, err := n.test(ctx, dir)
		if err != nil {
			return "", err
		}
		if found != nil && found.App != "" {
			return found.App, nil
		}
	}
	return "", nil
}

// alone makes a folder for a test that leaves all apps out but one.
func (n *Nginx) alone(apps []string, app string) (dir string, err error) {
	if dir, err = n.overrides(); err != nil {
		return "", err
	}
	for _, other := range apps {
		if other == app {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, other+".conf"), nil, 0o644); err != nil {
			return "", fmt.Errorf("leave the other apps out of the test: %w", err)
		}
	}
	return dir, nil
}

func (n *Nginx) putAside(b *broken) error {
	live := n.Places.NginxConf(b.app)
	b.aside = asideOf(live)
	if err := os.Rename(live, b.aside); err != nil {
		return fmt.Errorf("put the broken nginx file of %s aside: %w", b.app, err)
	}
	return nil
}

func (n *Nginx) putBack(b *broken) error {
	if err := os.Rename(b.aside, n.Places.NginxConf(b.app)); err != nil {
		return fmt.Errorf("put the nginx file of %s back: %w", b.app, err)
	}
	return nil
}

// treat tries the next remedy on an app.
func (n *Nginx) treat(ctx context.Context, b *broken) error {
	for {
		content, err := n.remedy(ctx, b)
		if err != nil {
			return err
		}
		b.next++
		if content == nil {
			continue
		}
		if err := writeFile(n.Places.NginxConf(b.app), content); err != nil {
			return fmt.Errorf("replace the broken nginx file of %s: %w", b.app, err)
		}
		return nil
	}
}

// remedy makes the content for an app's next remedy; nil: there is none of that kind.
func (n *Nginx) remedy(ctx context.Context, b *broken) ([]byte, error) {
	switch b.next {
	case lastGood:
		former, _, err := readFile(b.aside)
		if err != nil {
			return nil, fmt.Errorf("read the broken nginx file of %s: %w", b.app, err)
		}
		last, never, err := readFile(n.Places.NginxLoaded(b.app))
		if err != nil || never || bytes.Equal(last, former) {
			return nil, err
		}
		return last, nil
	case answer502, bare502:
		return n.site502(ctx, b, b.next == bare502)
	}
	return nil, b.first.err(api.Precondition)
}

// site502 is the site of an app that cannot be served.
func (n *Nginx) site502(ctx context.Context, b *broken, bare bool) ([]byte, error) {
	text, _, err := readFile(n.Places.Vhost(b.app))
	if err != nil {
		return nil, fmt.Errorf("read the domains of %s: %w", b.app, err)
	}
	var domains []string
	for _, domain := range strings.Fields(string(text)) {
		if Domain(domain) == nil {
			domains = append(domains, domain)
		}
	}
	site := agent.Site{App: b.app, Domains: domains, Ports: []agent.PortMap{{Scheme: "http", Host: 80, Container: 5000}}}
	if !bare && n.hasTLS(b.app) {
		site.Ports = append(site.Ports, agent.PortMap{Scheme: "https", Host: 443, Container: 5000})
	}
	conf, err := n.Render(ctx, site)
	if err != nil {
		return nil, nil // properties of its own are broken, too: the next remedy
	}
	note := fmt.Sprintf("# %s is the app's own file; nginx refused it.\n", filepath.Base(b.aside))
	if bare {
		include := "    include " + n.Places.NginxConfDir(b.app) + "/*.conf;\n"
		conf = bytes.Replace(conf, []byte(include), nil, -1)
	}
	return append([]byte(note), conf...), nil
}

// warningsFor names each app, its mistake, and where its file is now.
func warningsFor(order []*broken) []string {
	var warnings []string
	for _, b := range order {
		what := "a site that answers 502"
		if b.next == lastGood+1 {
			what = "what nginx loaded last"
		}
		warnings = append(warnings, fmt.Sprintf("the nginx file of the app %s was broken before: %s. In its place is %s; the file itself is now %s", b.app, b.first, what, b.aside))
	}
	return warnings
}
