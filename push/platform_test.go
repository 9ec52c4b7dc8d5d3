package push

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestOnePlatform: of several platforms the host's is built, and that is said; a host that is
// not among them is refused.
func TestOnePlatform(t *testing.T) {
	for _, tt := range []struct {
		platforms     string
		builder, want string
		said          bool
	}{
		{"", "dockerfile", "", false},
		{"linux/amd64", "dockerfile", "", false},
		{"linux/amd64/v2", "dockerfile", "", false},
		{"linux/arm64 linux/amd64", "dockerfile", "", true},
		{"linux/arm64 linux/amd64", "image", "", false},
		{"linux/arm64", "static", "names linux/arm64, and linux/amd64 is what is needed here", false},
	} {
		said := false
		o := Options{Report: func(event api.Event) { said = strings.Contains(event.Output.Text, "only linux/amd64 is built") }}
		err := onePlatform(o, strings.Fields(tt.platforms), tt.builder, "linux", "amd64")
		if said != tt.said || (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || api.AsError(err).Code != api.Configuration) {
			t.Errorf("%+v: %v, said %t", tt, err, said)
		}
	}
}
