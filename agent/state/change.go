package state

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/dokku-push/dokku-push/agent"
)

const errIsDir = syscall.EISDIR

// Read returns an app's settings; its maps are never nil. "--global" has Env,
// Domains and Properties alone. An app that does not exist is agent.ErrNotFound.
func (s *Store) Read(app string) (agent.Settings, error) {
	settings := agent.Settings{Env: map[string]string{}, Scale: map[string]int{}, Properties: map[string]string{}}
	if !s.exists(app) {
		return settings, noSuchApp(app)
	}
	for _, part := range s.parts(app) {
		text, err := os.ReadFile(part.path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errIsDir) {
			continue
		}
		if err == nil {
			err = part.read(&settings, text)
		}
		if err != nil {
			return agent.Settings{}, fmt.Errorf("read %s: %w", part.path, err)
		}
	}
	return settings, nil
}

// Change reads, calls change, and writes what differs, under a short lock of the
// app's settings, which change must not try to take again. If change or a write fails
// all files are as they were. It returns the settings before and after.
func (s *Store) Change(app string, change func(*agent.Settings) error) (before, after agent.Settings, err error) {
	if !s.exists(app) {
		return before, after, noSuchApp(app)
	}
	lock, err := waitLock(s.settingsLock(app))
	if err != nil {
		return before, after, err
	}
	defer lock.Close()
	if before, err = s.Read(app); err != nil {
		_ = os.Remove(lock.Name()) // the app went while the lock was waited for: nothing of it stays
		_ = os.Remove(filepath.Dir(lock.Name()))
		return before, after, err
	}
	if after, err = s.Read(app); err != nil {
		return before, after, err
	}
	if err := change(&after); err != nil {
		return before, before, err
	}
	edits, err := s.edits(app, before, after)
	if err != nil {
		return before, before, fmt.Errorf("change the settings of %s: %w", app, err)
	}
	if err := perform(edits); err != nil {
		return before, before, fmt.Errorf("change the settings of %s: %w", app, err)
	}
	after, err = s.Read(app)
	return before, after, err
}

// part is one file of the settings: how it is read, and how it is written. The
// text of what is empty or not set is nil: then there is no file.
type part struct {
	path string
	perm fs.FileMode
	read func(to *agent.Settings, text []byte) error
	text func(from agent.Settings) ([]byte, error)
}

// parts are all files of an app's settings: those that there are, and those that of needs.
func (s *Store) parts(app string, of ...agent.Settings) []part {
	parts := []part{{s.Places.Env(app), 0o600, readEnv, func(from agent.Settings) ([]byte, error) { return FormatEnv(from.Env) }}}
	if app == global {
		parts = append(parts, part{filepath.Join(s.Places.Root, "VHOST"), 0o644, readDomains, domainsText})
		return append(parts, s.properties(app, of)...)
	}
	parts = append(parts,
		part{s.Places.Vhost(app), 0o644, readDomains, domainsText},
		part{s.Places.Property("ps", app, "scale"), 0o600, readScale, scaleText},
		part{s.Places.Property("ports", app, "map"), 0o600,
			func(to *agent.Settings, text []byte) error { to.Ports = lines(text); return nil },
			func(from agent.Settings) ([]byte, error) { return listText(from.Ports) }},
		s.promoted(app, "Procfile", func(of *agent.Settings) *string { return &of.Procfile }),
		s.promoted(app, "app.json", func(of *agent.Settings) *string { return &of.AppJSON }),
		s.promoted(app, "nginx.conf.sigil", func(of *agent.Settings) *string { return &of.Template }),
	)
	return append(parts, s.properties(app, of)...)
}

// properties are the files of the known properties.
func (s *Store) properties(app string, of []agent.Settings) (parts []part) {
	for _, name := range s.propertyNames(app, of) {
		plugin, key := splitProperty(name)
		parts = append(parts, part{s.Places.Property(plugin, app, key), 0o600,
			func(to *agent.Settings, text []byte) error { to.Properties[name] = propertyValue(text); return nil },
			func(from agent.Settings) ([]byte, error) {
				value, ok := from.Properties[name]
				if !ok {
					return nil, nil
				}
				return append([]byte{}, propertyText(value)...), nil
			}})
	}
	return parts
}

// propertyNames are the properties that an app has or is to have. What a plugin keeps
// beside them is not part of the settings.
func (s *Store) propertyNames(app string, of []agent.Settings) []string {
	names := map[string]bool{}
	for _, settings := range of {
		for name := range settings.Properties {
			names[name] = true
		}
	}
	for _, plugin := range agent.PropertyPlugins() {
		entries, err := os.ReadDir(filepath.Dir(s.Places.Property(plugin, app, "any")))
		if err != nil {
			continue // no property of this plugin: what cannot be read fails when it is written
		}
		for _, entry := range entries {
			if name := plugin + "/" + entry.Name(); entry.Type().IsRegular() && agent.KnownProperty(name) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (s *Store) promoted(app, file string, field func(*agent.Settings) *string) part {
	return part{s.Places.Promoted(app, file), 0o644,
		func(to *agent.Settings, text []byte) error { *field(to) = string(text); return nil },
		func(from agent.Settings) ([]byte, error) {
			if text := *field(&from); text != "" {
				return []byte(text), nil
			}
			return nil, nil
		}}
}

func readEnv(to *agent.Settings, text []byte) (err error) {
	to.Env, err = ParseEnv(text)
	return err
}

func lines(text []byte) []string {
	var values []string
	for line := range strings.Lines(string(text)) {
		if value := strings.TrimSpace(line); value != "" {
			values = append(values, value)
		}
	}
	return values
}

func readDomains(to *agent.Settings, text []byte) error {
	to.Domains = lines(text)
	return nil
}

func domainsText(from agent.Settings) ([]byte, error) {
	for _, domain := range from.Domains {
		if strings.ContainsAny(domain, " \t") {
			return nil, fmt.Errorf("%q is no domain", domain)
		}
	}
	return listText(from.Domains)
}

func readScale(to *agent.Settings, text []byte) error {
	for _, line := range lines(text) {
		process, number, ok := strings.Cut(line, "=")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if process = strings.TrimSpace(process); !ok || err != nil || n < 0 || process == "" {
			return fmt.Errorf("%q is not PROCESS=N", line)
		}
		to.Scale[process] = n
	}
	return nil
}

func scaleText(from agent.Settings) ([]byte, error) {
	var list []string
	for _, process := range slices.Sorted(maps.Keys(from.Scale)) {
		if n := from.Scale[process]; n < 0 || process == "" || strings.ContainsAny(process, "= \t") {
			return nil, fmt.Errorf("%s=%d is no scale of a process type", process, n)
		}
		list = append(list, fmt.Sprintf("%s=%d", process, from.Scale[process]))
	}
	return listText(list)
}

// edits works out which files have to change, before any is touched.
func (s *Store) edits(app string, before, after agent.Settings) ([]edit, error) {
	for name := range after.Properties {
		if !agent.KnownProperty(name) {
			return nil, fmt.Errorf("%s is not a property that is part of the settings", name)
		}
	}
	if app == global && len(after.Scale)+len(after.Ports)+len(after.Procfile)+len(after.AppJSON)+len(after.Template) > 0 {
		return nil, errors.New("a host has an env, domains and properties and no other settings")
	}
	var edits []edit
	for _, part := range s.parts(app, before, after) {
		// What is written is compared, not the file: what a person has written another
		// way stays, unless it says something else.
		is, err := part.text(before)
		if err != nil {
			is = []byte{0} // not as we would write it: it differs
		}
		want, err := part.text(after)
		if err != nil {
			return nil, err
		}
		if string(is) != string(want) || (is == nil) != (want == nil) {
			edits = append(edits, edit{path: part.path, text: want, perm: part.perm})
		}
	}
	return edits, nil
}

// edit is one file to be written, or removed when text is nil.
type edit struct {
	path string
	text []byte
	perm fs.FileMode
}

func (e edit) do() error {
	if e.text == nil {
		return removeFile(e.path)
	}
	return writeFile(e.path, e.text, e.perm)
}

// perform writes all files or, when one cannot be written, puts the others back.
func perform(edits []edit) error {
	var back []edit
	for _, e := range edits {
		former, err := formerly(e.path)
		if err == nil {
			back = append(back, former)
			err = e.do()
		}
		if err == nil {
			continue
		}
		for _, former := range slices.Backward(back) {
			if undo := former.do(); undo != nil {
				err = errors.Join(err, fmt.Errorf("put %s back: %w", former.path, undo))
			}
		}
		return err
	}
	return nil
}

// formerly is the edit that makes a file what it is now.
func formerly(path string) (edit, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return edit{path: path}, nil
	}
	if err != nil {
		return edit{}, err
	}
	text, err := os.ReadFile(path)
	if text == nil {
		text = []byte{}
	}
	return edit{path: path, text: text, perm: info.Mode().Perm()}, err
}
