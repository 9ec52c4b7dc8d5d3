package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/triggers"
)

const opUpdate = "update the plugin"

// Update brings one plugin, or all that are not the core's when name is empty, to what
// their repositories say now, and then runs every plugin's update trigger. Where one cannot
// be brought to its new version none is; a plugin whose own trigger fails is taken back.
func (m *Manager) Update(ctx context.Context, name, committish string) error {
	names, err := m.toUpdate(ctx, name, committish)
	if err != nil {
		return err
	}
	return m.change(ctx, opUpdate, func() error {
		var all []*renewal
		for _, one := range names {
			renewed, err := m.renew(ctx, one, committish)
			if err != nil {
				for _, earlier := range all {
					err = errors.Join(err, earlier.takeBack(), earlier.end())
				}
				return err
			}
			all = append(all, renewed)
		}
		err := m.fire(ctx, "update")
		for _, renewed := range all {
			if failed, ok := errors.AsType[*triggers.Failure](err); ok && failed.Plugin == renewed.name {
				err = errors.Join(err, renewed.takeBack())
			}
			err = errors.Join(err, renewed.end())
		}
		return err
	})
}

// Pull is Update of one plugin without a trigger: `plugn update`.
func (m *Manager) Pull(ctx context.Context, name, committish string) error {
	if err := checkName(opUpdate, name); err != nil {
		return err
	}
	if _, err := m.toUpdate(ctx, name, committish); err != nil {
		return err
	}
	return m.change(ctx, opUpdate, func() error {
		renewed, err := m.renew(ctx, name, committish)
		if err != nil {
			return err
		}
		return renewed.end()
	})
}

func (m *Manager) toUpdate(ctx context.Context, name, committish string) ([]string, error) {
	if name != "" {
		for _, err := range []error{m.checkOwn(opUpdate, name), m.checkInstalled(opUpdate, name), checkCommittish(opUpdate, committish)} {
			if err != nil {
				return nil, err
			}
		}
		return []string{name}, nil
	}
	all, err := m.List(ctx)
	var names []string
	for _, one := range all {
		if !one.Core {
			names = append(names, one.Name)
		}
	}
	return names, err
}

// renewal is a plugin in its new version, and its former one for as long as it may have to
// come back.
type renewal struct {
	name, place   string
	work          string // empty: nothing was renewed
	fresh, former string
}

// renew makes the new version beside the one that is there and puts it in its place.
func (m *Manager) renew(ctx context.Context, name, committish string) (*renewal, error) {
	if !isRepository(m.available(name)) {
		m.say("Plugin %s is no git repository: it is not updated", name)
		return &renewal{}, nil
	}
	work, err := m.workFolder()
	if err != nil {
		return nil, err
	}
	r := &renewal{name: name, place: m.available(name), work: work, fresh: filepath.Join(work, "new"), former: filepath.Join(work, formerFolder)}
	pinned, err := m.advance(ctx, r, committish)
	if err != nil {
		return nil, errors.Join(err, r.end())
	}
	if pinned {
		m.say("Plugin %s is pinned to a commit: name a committish to update it", name)
		return &renewal{}, r.end()
	}
	if err := move(work, "update", name, r.place, r.former); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", opUpdate, err), r.end())
	}
	if err := os.Rename(r.fresh, r.place); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", opUpdate, err), os.Rename(r.former, r.place), r.end())
	}
	if pin := pinOf(r.place); pin != "" {
		m.say("Plugin %s updated and pinned to %s", name, pin)
	} else {
		m.say("Plugin %s updated", name)
	}
	return r, nil
}

// advance makes the new version: a copy with what the install trigger has made in it, and
// the repository's files of now.
func (m *Manager) advance(ctx context.Context, r *renewal, committish string) (pinned bool, err error) {
	if err := copyTree(opUpdate, r.place, r.fresh); err != nil {
		return false, err
	}
	if committish == "" {
		committish = pinOf(r.fresh)
		if err := checkCommittish(opUpdate, committish); err != nil {
			return false, err
		}
	}
	pinned, err = pull(ctx, r.fresh, committish)
	if err != nil || pinned {
		return pinned, err
	}
	if err := inspect(opUpdate, r.fresh, r.name); err != nil {
		return false, err
	}
	_, err = describe(opUpdate, r.fresh, r.name)
	return false, err
}

// takeBack puts the former version in its place again.
func (r *renewal) takeBack() error {
	if r.work == "" {
		return nil
	}
	return errors.Join(os.Rename(r.place, r.fresh), os.Rename(r.former, r.place))
}

// end forgets the version that is not in its place.
func (r *renewal) end() error {
	if r.work == "" {
		return nil
	}
	return os.RemoveAll(r.work)
}
