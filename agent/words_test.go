package agent_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestSplitWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                         nil,
		"  \t\r\n ":                nil,
		"a":                        {"a"},
		" a  b\tc\n":               {"a", "b", "c"},
		`'a b' "c d"`:              {"a b", "c d"},
		`a'b 'c"d e"`:              {"ab cd e"},
		`'' ""`:                    {"", ""},
		`a\ b \'c \"`:              {"a b", "'c", `"`},
		`'a\b' "a\"b" "a\\b"`:      {`a\b`, `a"b`, `a\b`},
		`"it's" 'say "hi"'`:        {"it's", `say "hi"`},
		"$HOME `id` $(id) * ~ a;b": {"$HOME", "`id`", "$(id)", "*", "~", "a;b"},
		"-v 'x y':/z --label=a=b":  {"-v", "x y:/z", "--label=a=b"},
		"größe ☃":                  {"größe", "☃"},
		"'a\nb'":                   {"a\nb"},
		"-n -e -E":                 {"-n", "-e", "-E"},
	} {
		got, err := agent.SplitWords(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	}
	for _, text := range []string{`'a`, `"a`, `a\`, `'a"`, `"a\"`, `a 'b c`} {
		if got, err := agent.SplitWords(text); err == nil || got != nil {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

// FuzzSplitWords: words that are quoted are split into the same words.
func FuzzSplitWords(f *testing.F) {
	for _, seed := range []string{"a b", `'a "b`, `a\ b "c`, "\x00 \xff", "''"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		words, err := agent.SplitWords(text)
		if err != nil {
			words = []string{text}
		}
		var quoted []string
		for _, word := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
		}
		again, err := agent.SplitWords(strings.Join(quoted, " "))
		if diff := cmp.Diff(words, again); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	})
}

func TestParsePortMap(t *testing.T) {
	for text, want := range map[string]agent.PortMap{
		"http:80:5000":     {Scheme: "http", Host: 80, Container: 5000},
		"https:443:5000":   {Scheme: "https", Host: 443, Container: 5000},
		"grpc:1:65535":     {Scheme: "grpc", Host: 1, Container: 65535},
		"grpcs:50051:1":    {Scheme: "grpcs", Host: 50051, Container: 1},
		"tcp:5432:5432":    {Scheme: "tcp", Host: 5432, Container: 5432},
		"udp:53:53":        {Scheme: "udp", Host: 53, Container: 53},
		"http:65535:65535": {Scheme: "http", Host: 65535, Container: 65535},
	} {
		got, err := agent.ParsePortMap(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s became %+v (%s), %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "http", "http:80", "80:5000", "http:80:5000:1", "HTTP:80:5000", "ftp:80:5000", ":80:5000", "http:0:5000",
		"http:80:65536", "http:-1:5000", "http:+80:5000", "http:080:5000", "http:80: 5000", " http:80:5000", "http:80:5000\n", "http:a:5000", "http:80:", "http::5000", "http:٨٠:5000"} {
		got, err := agent.ParsePortMap(text)
		problem := api.AsError(err)
		if err == nil || problem.Code != api.Usage || problem.Hint == "" || got != (agent.PortMap{}) {
			t.Errorf("%q became %+v, %v", text, got, err)
		}
	}
}

// FuzzParsePortMap: what is taken is printed as it was written.
func FuzzParsePortMap(f *testing.F) {
	for _, seed := range []string{"http:80:5000", "udp:53:53", "http:080:1", "https:443:5000:x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if port, err := agent.ParsePortMap(text); err == nil && port.String() != text {
			t.Errorf("%q became %s", text, port)
		}
	})
}

func TestValidRequest(t *testing.T) {
	for id, want := range map[string]bool{
		"abcdefgh": true, "0123-4567": true, strings.Repeat("a", 64): true,
		"": false, "abcdefg": false, strings.Repeat("a", 65): false, "-abcdefgh": false, "ABCDEFGH": false, "abcdefgh\n": false,
		"../../etc": false, "abc defgh": false, "abcd.efgh": false, "abcd_efgh": false,
	} {
		if got := agent.ValidRequest(id); got != want {
			t.Errorf("%q: %t", id, got)
		}
	}
}
