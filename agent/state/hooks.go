package state

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// SaveHooks records what became of the hooks that ran after a release was committed, beside
// its record, which does not change. What is recorded already is fs.ErrExist, a release that
// is not there fs.ErrNotExist.
func (s *Store) SaveHooks(app string, version int, hooks []api.HookResult) error {
	if !isApp(app) {
		return noSuchApp(app)
	}
	_, err := os.Stat(s.Places.ReleaseRecord(app, version))
	var text []byte
	if err == nil {
		text, err = json.Marshal(hooks)
	}
	if err == nil {
		err = atomicfile.CreateFile(s.Places.ReleaseHooks(app, version), append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("save the hooks of release v%d: %w", version, err)
	}
	return nil
}

// readHooks adds to a record what SaveHooks has recorded. What cannot be read stays pending:
// it says nothing that a deploy or a rollback depends on.
func (s *Store) readHooks(app string, record *agent.Record) {
	if !record.HooksPending {
		return
	}
	text, err := os.ReadFile(s.Places.ReleaseHooks(app, record.Version))
	var hooks []api.HookResult
	if err == nil {
		err = json.Unmarshal(text, &hooks)
	}
	if err == nil {
		record.Hooks, record.HooksPending = append(record.Hooks, hooks...), false
	}
}
