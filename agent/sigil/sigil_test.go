package sigil_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent/sigil"
)

func env(name string) (string, bool) {
	if name == "COLOUR" {
		return "green", true
	}
	return "", false
}

func TestRender(t *testing.T) {
	vars := map[string]string{"APP": "shop", "PORTS": "http:80:5000 https:443:5000", "EMPTY": "", "dash-ed": "x"}
	for _, c := range []struct{ template, want string }{
		{"{{ .APP }} {{ $.APP }} {{ $APP }}", "shop shop shop"},
		{"[{{ $NOTHING }}] [{{ .NOTHING }}]", "[] [<no value>]"},
		{"{{ if $NOTHING }}a{{ else }}b{{ end }}", "b"},
		{`{{ var "COLOUR" }}/{{ var "OTHER" }}`, "green/"},
		{`{{ range $p := .PORTS | split " " }}{{ $l := $p | split ":" }}{{ index $l 1 }}({{ $.APP }}) {{ end }}`, "80(shop) 443(shop) "},
		{`{{ .PORTS | split " " | join "," }}`, "http:80:5000,https:443:5000"},
		{`{{ .NOTHING | default "d" }} {{ $EMPTY | default "e" }} {{ .APP | default "f" }}`, "d e shop"},
		{`{{ " a " | trim }}{{ .APP | replace "sh" "ch" | upper }}{{ "B" | lower }}{{ .APP | capitalize }}`, "aCHOPbShop"},
		{`{{ .APP | substring "1:3" }} {{ .APP | substring ":2" }} {{ .APP | substring "2:99" }}`, "ho sh op"},
		{`{{ .APP | match "sh*" }} {{ .APP | contains "op" }} {{ .PORTS | split " " | in "x" }}`, "true true false"},
		{`{{ range seq 3 }}{{ . }}{{ end }} {{ split " " "a b a" | uniq | append "c" | drop "b" | join "" }}`, "012 ac"},
		{`{{ $m := split " " "a=1 b=2" | splitkv "=" }}{{ $m.b }}{{ joinkv ":" $m | join "," }}`, "2a:1,b:2"},
		{"proxy_set_header Host $http_host; {{ $x := 1 }}{{ $x }}", "proxy_set_header Host $http_host; 1"},
		{"{{ if and (eq .APP \"shop\") (ne $EMPTY \"x\") }}yes{{ end }}", "yes"},
		{`{{ "aGk=" | base64dec }}{{ "hi" | base64enc }}`, "hiaGk="},
	} {
		got, err := sigil.Render(c.template, vars, env)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.template, diff)
		}
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"{{ .APP }}\nb {{ if }}\n", "line 2: missing value for if"},
		{"a\nb\n{{ index (split \":\" \"x\") 4 }}", "line 3: at <index (split"},
		{"{{ file \"/etc/passwd\" }}", "line 1:"},
		{"\n{{ sh \"id\" }}", "sh is not available here"},
		{"\n{{ include \"x\" }}", "include is not available here"},
		{"{{ nothing }}", `line 1: function "nothing" not defined`},
		{"{{ range seq 10000 }}{{ range seq 10000 }}0123456789{{ end }}{{ end }}", "more than"},
		{"{{ seq 10001 }}", "seq needs a number"},
	} {
		got, err := sigil.Render(c.template, map[string]string{"APP": "shop"}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || got != "" {
			t.Errorf("%q: got %q, %v; want an error with %q", c.template, got, err, c.want)
		}
	}
}

// FuzzRender: no template panics, and none returns text beside an error.
func FuzzRender(f *testing.F) {
	f.Add("{{ $A | split \":\" | join \",\" }}")
	f.Add("{{ define \"x\" }}{{ $A }}{{ end }}{{ template \"x\" }}")
	f.Add("{{ substring \"3:1\" .A }}{{/* c */}}")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := sigil.Render(text, map[string]string{"A": "a:b"}, env)
		if err != nil && got != "" {
			t.Errorf("text %q beside %v", got, err)
		}
	})
}
