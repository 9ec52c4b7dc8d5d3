package remote

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// DefaultUser and DefaultPort are what a target without them means.
const (
	DefaultUser = "dokku"
	DefaultPort = 22
)

// Target is where an ssh connection goes.
type Target struct {
	User string
	Host string // a name, an alias, or an address without brackets
	Port int
}

// String is the form that ParseTarget reads: user@host:port.
func (t Target) String() string { return t.User + "@" + t.address() }

// address is host:port, with brackets where they are needed.
func (t Target) address() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) }

// ParseTarget reads [user@]host[:port]. An IPv6 address stands in brackets. The
// user is dokku and the port 22 where they are not given. Its errors are of code
// api.Configuration.
func ParseTarget(text string) (Target, error) {
	t, err := parseTarget(text)
	if err != nil {
		return Target{}, err
	}
	return t.or(Target{User: DefaultUser, Port: DefaultPort}), nil
}

// or fills what t leaves open from other.
func (t Target) or(other Target) Target {
	if t.User == "" {
		t.User = other.User
	}
	if t.Port == 0 {
		t.Port = other.Port
	}
	return t
}

// parseTarget leaves User and Port empty where text does not name them.
func parseTarget(text string) (Target, error) {
	refuse := func(format string, args ...any) (Target, error) {
		return Target{}, api.Errorf(api.Configuration, "read the host "+strconv.Quote(text), format, args...).
			WithHint("write [user@]host[:port], an IPv6 address in brackets: dokku@[2001:db8::1]:22")
	}
	var t Target
	rest := text
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		t.User, rest = rest[:at], rest[at+1:]
		if t.User == "" {
			return refuse("the user before @ is empty")
		}
		if bad := badIn(t.User, ".-_+@$\\"); bad != "" {
			return refuse("a user holds no %s", bad)
		}
	}
	host, port, err := splitPort(rest)
	if err != "" {
		return refuse("%s", err)
	}
	t.Host, t.Port = host, port
	if strings.HasPrefix(t.User, "-") || strings.HasPrefix(t.Host, "-") {
		return refuse("neither user nor host begins with -")
	}
	return t, nil
}

// splitPort takes host[:port] apart; problem is empty when it is sound.
func splitPort(text string) (host string, port int, problem string) {
	if strings.Contains(text, "://") {
		return "", 0, "it is a URL, not a host"
	}
	host, after := text, ""
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if host, after, ok = strings.Cut(inner, "]"); !ok {
			return "", 0, "the bracket is not closed"
		}
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.Is6() || badIn(addr.Zone(), ".-_") != "" {
			return "", 0, "what stands in brackets is no IPv6 address"
		}
		if after != "" && after[0] != ':' {
			return "", 0, "only a port may follow the bracket"
		}
	} else {
		if strings.Count(text, ":") > 1 {
			return "", 0, "an IPv6 address must stand in brackets"
		}
		if i := strings.IndexByte(text, ':'); i >= 0 {
			host, after = text[:i], text[i:]
		}
		if host == "" {
			return "", 0, "the host is empty"
		}
		if bad := badIn(host, ".-_"); bad != "" {
			return "", 0, "a host holds no " + bad
		}
	}
	if after == "" {
		return host, 0, ""
	}
	n, err := strconv.ParseUint(after[1:], 10, 16)
	if err != nil || n == 0 {
		return "", 0, "the port is a number from 1 to 65535"
	}
	return host, int(n), ""
}

// badIn names the first character that is neither an ASCII letter or digit nor
// one of also; it is empty when there is none.
func badIn(text, also string) string {
	for _, c := range text {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c < 0x80 && strings.ContainsRune(also, c):
		case c == ' ':
			return "space"
		case c < ' ' || c == 0x7f:
			return "control character"
		default:
			return strconv.QuoteRune(c)
		}
	}
	return ""
}
