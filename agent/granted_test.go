package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBounded: a certificate for some apps is for those and for little else; a key is not
// bounded.
func TestBounded(t *testing.T) {
	job, key := Caller{Name: "job", Apps: "shop api"}, Caller{Name: "laptop"}
	for _, test := range []struct{ app, command, want string }{
		{"shop", "git-receive-pack", ""}, {"api", "ps:rebuild", ""}, {"other", "git-receive-pack", "the certificate of job is for shop api"}, {"sho", "apps:report", "is for shop api"},
		{"shop api", "apps:report", "is for"}, {"", "version", ""}, {"", "logs", ""}, {"", "run", ""}, {"", "apps:list", ""}, {"", "apps:create", "and nothing else"},
		{"", "git-receive-pack", "and nothing else"}, {"", "config:set", "and nothing else"}, {"", "plugin:install", "and nothing else"}, {"", "auth:github", "and nothing else"}, {"", "", "and nothing else"},
	} {
		err := job.bounded(test.app, test.command)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q of %q: %v, want %q", test.command, test.app, err, test.want)
		}
		if err := key.bounded(test.app, test.command); err != nil {
			t.Errorf("%q of %q by a key: %v", test.command, test.app, err)
		}
	}
	all := []string{"api", "other", "shop"}
	if diff := cmp.Diff([]string{"api", "shop"}, job.among(all)); diff != "" || len(key.among(all)) != 3 {
		t.Error(diff)
	}
}

// TestSameKey: the runs of one repository make way for each other, and for nobody else.
func TestSameKey(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{{"ci", "ci", true}, {"ci", "laptop", false}, {"ci/1", "ci/2", false}, {"github:acme/shop/1", "github:acme/shop/2", true}, {"github:acme/shop/1", "github:acme/api/1", false},
		{"github:acme/shop/1", "acme/shop/1", false}} {
		if sameKey(test.a, test.b) != test.same {
			t.Errorf("%s and %s: %t", test.a, test.b, !test.same)
		}
	}
}
