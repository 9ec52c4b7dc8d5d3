package nginx

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

const (
	mostDomain = 253 // characters, of the DNS
	mostLabel  = 63
)

// label is one part of a name, in the form that the DNS carries.
var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

// Domain tells why a name cannot be a site's domain, or nil.
func (n *Nginx) Domain(name string) error { return Domain(name) }

// Domain tells why a name cannot be an app's domain, or nil. A name in other than
// ASCII letters has to be in its xn-- form; a star may stand for the first label.
func Domain(name string) error {
	bad := func(why string) error {
		return api.Errorf(api.Usage, "check the domain", "%.80q: %s", name, why).
			WithHint("write a name as app.example.com or *.example.com")
	}
	if name == "" {
		return bad("it is empty")
	}
	if len(name) > mostDomain {
		return bad("it is longer than 253 characters")
	}
	if strings.HasSuffix(name, ".") {
		return bad("it ends with a dot")
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return bad("it is an address, not a name")
	}
	labels := strings.Split(name, ".")
	if labels[0] == "*" && len(labels) > 2 {
		labels = labels[1:]
	}
	for _, part := range labels {
		switch {
		case part == "":
			return bad("it has two dots in a row or begins with one")
		case len(part) > mostLabel:
			return bad("a part of it is longer than 63 characters")
		case !label.MatchString(part):
			return bad("a part of it is not made of letters, digits and inner hyphens (other alphabets: the xn-- form)")
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return bad("its last part is a number, as in an address")
	}
	return nil
}
