package state

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEnv(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want map[string]string
		err  string
	}{
		"nothing":        {text: "", want: map[string]string{}},
		"blank":          {text: "\n  \n# a comment\n\t# another\n", want: map[string]string{}},
		"double quotes":  {text: `A="x y"`, want: map[string]string{"A": "x y"}},
		"escapes":        {text: `A="a\nb\r\"\\n\$HOME\!\` + "`" + `\t"`, want: map[string]string{"A": "a\nb\r\"\\n$HOME!`t"}},
		"many lines":     {text: "A=\"one\ntwo\"\nB='three\n\nfour'\n", want: map[string]string{"A": "one\ntwo", "B": "three\n\nfour"}},
		"old form":       {text: "export A='it'\\''s $1'\nexport  B='x'\n", want: map[string]string{"A": "it's $1", "B": "x"}},
		"bare":           {text: "A=1\nB=a b  # said\nC=\nD=a#b\nE= x\\n\r\nF=#none", want: map[string]string{"A": "1", "B": "a b", "C": "", "D": "a#b", "E": `x\n`, "F": ""}},
		"comment after":  {text: `A="x" # y`, want: map[string]string{"A": "x"}},
		"the last wins":  {text: "A=1\nA=2", want: map[string]string{"A": "2"}},
		"= in a value":   {text: "A=b=c\nB=\"d=e\"", want: map[string]string{"A": "b=c", "B": "d=e"}},
		"no =":           {text: "A=1\nhello\n", err: "line 2: there is no = in it"},
		"bad key":        {text: "1A=x", err: "line 1: what is before the = is not the name of a variable"},
		"two words":      {text: "a b=x", err: "line 1: what is before the = is not the name of a variable"},
		"open quote":     {text: "A=\"x\ny", err: "line 2: the \" of A is never closed"},
		"open quotes":    {text: "A='secret", err: "line 1: the ' of A is never closed"},
		"after a value":  {text: "A='x'\nB=\"secret\" b", err: "line 2: there is something after the value of B"},
		"NUL":            {text: "A=x\x00y", err: "line 1: the value of A holds a NUL byte"},
		"Dokku's number": {text: "A=5000\nB=\"x\"\n", want: map[string]string{"A": "5000", "B": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseEnv([]byte(test.text))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if test.err == "" && err != nil || test.err != "" && (err == nil || err.Error() != test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

func TestFormatEnv(t *testing.T) {
	got, err := FormatEnv(map[string]string{"B": "a \"b\" $c\n\\n", "A": "007", "C": ""})
	if err != nil {
		t.Fatal(err)
	}
	want := `A="007"` + "\n" + `B="a \"b\" \$c\n\\n"` + "\n" + `C=""` + "\n"
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, env := range []map[string]string{{"": "x"}, {"A B": "x"}, {"1": ""}, {"A": "\x00"}, {"é": ""}} {
		if text, err := FormatEnv(env); err == nil || text != nil {
			t.Errorf("%q gave %q, %v", env, text, err)
		}
	}
}

// TestShellReadsEnv: a shell that sources the file sees the same values, as long as
// they have no newline, which it does not unescape, and no !, whose backslash it keeps.
func TestShellReadsEnv(t *testing.T) {
	value := "a'b\"c $HOME `id` \\ \\n # é;&|"
	text, err := FormatEnv(map[string]string{"A": value})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ENV")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command("/bin/sh", "-c", `. "$1"; printf %s "$A"`, "sh", path).CombinedOutput()
	if err != nil || string(got) != value {
		t.Errorf("the shell sees %q (%v), want %q", got, err, value)
	}
}

// FuzzEnv: what was read and is printed reads the same, and on error nothing is
// returned.
func FuzzEnv(f *testing.F) {
	for _, text := range []string{"", "A=1", "A=\"x\\ny\\\\\"\nexport B='it'\\''s'", "A='a\nb' # c", "A=\"$X\" \nB=b c # d\r\n", "A=\\\"", "A='", "A=\"\xff\"", "_=\"a\"'b'\\ c\\"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		env, err := ParseEnv(text)
		if err != nil {
			if env != nil {
				t.Fatalf("%v came with %v", err, env)
			}
			return
		}
		printed, err := FormatEnv(env)
		if err != nil {
			t.Fatalf("what was read cannot be printed: %v", err)
		}
		again, err := ParseEnv(printed)
		if err != nil || !cmp.Equal(env, again) {
			t.Fatalf("%q became %q (%v) by\n%s", env, again, err, printed)
		}
		if strings.Count(string(printed), "\n") != len(env) {
			t.Fatalf("a value is on more than one line:\n%s", printed)
		}
	})
}
