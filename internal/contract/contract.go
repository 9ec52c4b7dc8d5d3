// Package contract is what the transaction relies on of the parts it works with, as
// suites that the real ones and those in memory pass alike: what is proven with the one is
// true of the other. It is for tests alone.
package contract

import (
	"errors"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// absent wants every error to be agent.ErrNotFound.
func absent(t *testing.T, errs map[string]error) {
	t.Helper()
	for what, err := range errs {
		if !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("%s of what is not there gave %v", what, err)
		}
	}
}

// harmless wants no error at all.
func harmless(t *testing.T, errs map[string]error) {
	t.Helper()
	for what, err := range errs {
		if err != nil {
			t.Errorf("%s of what is not there gave %v", what, err)
		}
	}
}
