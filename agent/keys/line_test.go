package keys

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestNoHost: a key is added to a host, which install makes.
func TestNoHost(t *testing.T) {
	f := At(filepath.Join(t.TempDir(), "nothing"))
	_, err := f.Add("laptop", "stdin", public(t, 1, ""))
	if problem := api.AsError(err); err == nil || problem.Code != api.Precondition || !strings.Contains(problem.Hint, "dokku-agent install") {
		t.Errorf("%v", err)
	}
}
