package agent

import "testing"

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
