package sigil_test

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent/sigil"
)

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		values := map[string]string{"A": "1", "EMPTY": "", "DOLLAR": "$A ${A}"}
		value, ok := values[name]
		return value, ok
	}
	for text, want := range map[string]string{
		"$A ${A} $A-x ${A}x $AB|":                           "1 1 1-x 1x |",
		"$ $1 $$ \\$A a$":                                   "$ $1 $$ $A a$",
		"${N:-d} ${N-d} ${EMPTY:-d} ${EMPTY-d} ${A:-d}":     "d d d  1",
		"${A:+y}${N:+y}${EMPTY:+y}${EMPTY+y}":               "yy",
		"${N:=d} ${A:?no} ${A?no} ${N:-${A:-x}} ${N:-a $A}": "d 1 1 1 a 1",
		"$DOLLAR {{ .X }} `id` $(id)":                       "$A ${A} {{ .X }} `id` $(id)",
	} {
		if got, err := sigil.Expand(text, lookup); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"\n${A": "line 2: ${ without a }", "${}": "names nothing", "${A%x}": "no meaning", "${A:}": "no meaning",
		"\n\n${N:?is needed}": "line 3: N: is needed", "${N?}": "N: is not set",
	} {
		if got, err := sigil.Expand(text, lookup); err == nil || got != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}
