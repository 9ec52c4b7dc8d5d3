package remote

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]Target{
		"example.com":               {"dokku", "example.com", 22},
		"example.com:2222":          {"dokku", "example.com", 2222},
		"root@h":                    {"root", "h", 22},
		"me@corp@h:1":               {"me@corp", "h", 1},
		"[2001:db8::1]":             {"dokku", "2001:db8::1", 22},
		"root@[fe80::1%eth0]:65535": {"root", "fe80::1%eth0", 65535},
		"192.0.2.1:22":              {"dokku", "192.0.2.1", 22},
		"my_host":                   {"dokku", "my_host", 22},
	} {
		got, err := ParseTarget(text)
		if err != nil || got != want {
			t.Errorf("ParseTarget(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "@h", "user@", "-oProxyCommand=x", "-l@h", "a b", "h\n", "h\x00", "u\x1b@h", "h:0", "h:65536", "h:", "h:x", "h:+1", "h:-1",
		"::1", "2001:db8::1", "[::1", "[::1]x", "[::1]:", "[h]", "[1.2.3.4]", "[]", "[fe80::1%a b]", "ssh://h", "h/x", "u:p@h", "h;x", "$(x)", "hé",
	} {
		got, err := ParseTarget(text)
		if err == nil {
			t.Errorf("ParseTarget(%q) = %v, want a refusal", text, got)
			continue
		}
		if e := api.AsError(err); e.Code != api.Configuration || e.Hint == "" || got != (Target{}) {
			t.Errorf("ParseTarget(%q): code %s, hint %q, target %v", text, e.Code, e.Hint, got)
		}
	}
}

// The law: what was parsed prints to a text that parses to the same; neither part
// begins with a dash or holds anything but printing ASCII. On error there is nothing.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"h", "u@h:1", "[::1]:22", "u@[fe80::1%e]:2", "-x", "a@b@c", "::", "h:022"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseTarget(text)
		if err != nil {
			if got != (Target{}) {
				t.Fatalf("an error and %v", got)
			}
			return
		}
		again, err := ParseTarget(got.String())
		if err != nil || again != got {
			t.Fatalf("%q -> %v -> %v, %v", text, got, again, err)
		}
		for _, part := range []string{got.User, got.Host} {
			if part == "" || part[0] == '-' || strings.ContainsFunc(part, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
				t.Fatalf("%q gives the part %q", text, part)
			}
		}
		if got.Port < 1 || got.Port > 65535 {
			t.Fatalf("%q gives port %d", text, got.Port)
		}
	})
}
