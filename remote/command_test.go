package remote

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

var awkward = []string{
	"plain", "", "two words", "it's", `back\slash`, `"double"`, "$HOME", "`id`", "*", "?", "~", "a'b'c", "''", "tab\there", "é", "#", ";rm -rf /", "!x", "A=b c", "-x", "{a,b}",
}

func TestQuotedWordsReachXargsAndTheShell(t *testing.T) {
	words := append([]string{"config:set"}, awkward...)
	line, err := quoteWords(words)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join(words, "\x00") + "\x00"
	xargs := exec.Command("xargs", "-n", "1", "printf", `%s\0`)
	xargs.Stdin = strings.NewReader(line)
	shell := exec.Command("sh", "-c", "printf '%s\\0' "+line)
	for _, cmd := range []*exec.Cmd{xargs, shell} {
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", cmd.Path, err)
		}
		if diff := cmp.Diff(want, string(out)); diff != "" {
			t.Errorf("%s splits otherwise:\n%s", cmd.Path, diff)
		}
	}
}

func TestQuoteWordsRefuses(t *testing.T) {
	for _, words := range [][]string{nil, {""}, {"a", "b\nc"}, {"a", "\r"}, {"a", "\x00"}, {"git:sync", "a b"}, {"git:from-image", ""}, {"git-upload-pack", "a\tb"}} {
		if line, err := quoteWords(words); err == nil || api.AsError(err).Code != api.Usage || line != "" {
			t.Errorf("quoteWords(%q) = %q, %v", words, line, err)
		}
	}
	if line, err := quoteWords([]string{"git:set", "app", "it's", "$x"}); err != nil || line != "git:set app it's $x" {
		t.Errorf("git words: %q, %v", line, err)
	}
}

// splitWords splits as xargs does: quotes without escapes inside, a backslash
// outside of them.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	open := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t':
			if open {
				words, open = append(words, word.String()), false
				word.Reset()
			}
		case '\'', '"':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 || strings.Contains(line[i+1:i+1+end], "\n") {
				return nil, fmt.Errorf("unmatched quote at %d", i)
			}
			word.WriteString(line[i+1 : i+1+end])
			open, i = true, i+1+end
		case '\\':
			i++
			if i == len(line) {
				return nil, fmt.Errorf("a backslash at the end")
			}
			word.WriteByte(line[i])
			open = true
		case '\n':
			return nil, fmt.Errorf("a line break")
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

// The law: what can be quoted splits into the same words.
func FuzzQuoteWords(f *testing.F) {
	for _, word := range awkward {
		f.Add("run", word, "x"+word)
	}
	f.Fuzz(func(t *testing.T, first, second, third string) {
		words := []string{first, second, third}
		line, err := quoteWords(words)
		if err != nil {
			if line != "" {
				t.Fatalf("an error and %q", line)
			}
			return
		}
		var got []string
		if strings.Contains(first, "git:") || strings.Contains(first, "git-") {
			got = strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
		} else if got, err = splitWords(line); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(words, got); diff != "" {
			t.Fatalf("%q:\n%s", line, diff)
		}
	})
}
