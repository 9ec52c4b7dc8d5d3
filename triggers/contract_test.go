package triggers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// This file holds one plugin for each rule of PLUGIN-CONTRACT 1.2 to 1.4, written in
// bash as people write them.

const bash = "#!/usr/bin/env bash\nset -eo pipefail; [[ $DOKKU_TRACE ]] && set -x\n"

// outcome is what a caller sees of a walk.
type outcome struct {
	Out, Err string
	Plugin   string
	Code     int
}

func walked(t *testing.T, walk *Walk, in io.Reader, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := walk.Trigger(context.Background(), "act", args, Streams{In: in, Out: &stdout, Err: &stderr})
	return outcomeOf(t, &stdout, &stderr, err)
}

func outcomeOf(t *testing.T, stdout, stderr *bytes.Buffer, err error) outcome {
	t.Helper()
	got := outcome{Out: stdout.String(), Err: stderr.String()}
	if failure, ok := errors.AsType[*Failure](err); ok {
		got.Plugin, got.Code = failure.Plugin, failure.Code
	} else if err != nil {
		t.Fatalf("the walk failed with no *Failure: %v", err)
	}
	return got
}

func TestContract(t *testing.T) {
	for _, test := range []struct {
		rule string
		set  func(t *testing.T, walk *Walk)
		args []string
		want outcome
	}{
		{rule: "the order is that of bytes: digits, capitals, underscore, small letters",
			set: func(t *testing.T, walk *Walk) {
				for _, name := range []string{"registry", "nginx-vhosts", "letsencrypt", "_own", "Zed", "20_events", "00_dokku-standard", "apps"} {
					plugin(t, walk.Path, name, "act", bash+"echo "+name+"\n", 0o755)
				}
			},
			want: outcome{Out: "00_dokku-standard\n20_events\nZed\n_own\napps\nletsencrypt\nnginx-vhosts\nregistry\n"}},
		{rule: "nobody ships it: no failure, no output", set: func(*testing.T, *Walk) {}},
		{rule: "not executable: named on stderr, passed over",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"echo a\n", 0o644)
				plugin(t, walk.Path, "b", "act", bash+"echo b\n", 0o755)
			},
			want: outcome{Out: "b\n", Err: "Trigger 'act' is not executable, skipping plugin (a)\n"}},
		{rule: "a plugin that is installed and not enabled has no part",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"echo a\n", 0o755)
				plugin(t, walk.Path, "b", "act", bash+"echo b\n", 0o755)
				must(t, os.Remove(filepath.Join(walk.Path, "enabled", "a")))
			},
			want: outcome{Out: "b\n"}},
		{rule: "a folder of the trigger's name, a dangling link and a hidden entry are passed over silently",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "z", "act", bash+"echo z\n", 0o755)
				plugin(t, walk.Path, ".hidden", "act", bash+"echo hidden\n", 0o755)
				must(t, os.MkdirAll(filepath.Join(walk.Path, "enabled", "a", "act"), 0o755))
				must(t, os.Symlink("/nowhere", filepath.Join(walk.Path, "enabled", "b")))
			},
			want: outcome{Out: "z\n"}},
		{rule: "arguments arrive as they are: empty, blanks, quotes, stars, dollars", args: []string{"", "a  b", `q"'`, "*", "$HOME", "-n"},
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"printf '<%s>' \"$@\"\n", 0o755)
			},
			want: outcome{Out: `<><a  b><q"'><*><$HOME><-n>`}},
		{rule: "stdout stands in walk order with nothing between, stderr beside it",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"printf ' --one'; echo 1 >&2\n", 0o755)
				plugin(t, walk.Path, "b", "act", bash+"printf ' --two'; echo 2 >&2\n", 0o755)
			},
			want: outcome{Out: " --one --two", Err: "1\n2\n"}},
		{rule: "the first failure ends the walk, with exactly its code; what was printed stays",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"echo a\n", 0o755)
				plugin(t, walk.Path, "b", "act", bash+"echo b; exit 7\n", 0o755)
				plugin(t, walk.Path, "c", "act", bash+"echo c\n", 0o755)
			},
			want: outcome{Out: "a\nb\n", Plugin: "b", Code: 7}},
		{rule: "killed by TERM is 143",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"kill -TERM $$\n", 0o755)
			},
			want: outcome{Plugin: "a", Code: 143}},
		{rule: "killed by KILL is 137, and whoever comes later is not asked",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"echo a; kill -KILL $$\n", 0o755)
				plugin(t, walk.Path, "b", "act", bash+"echo b\n", 0o755)
			},
			want: outcome{Out: "a\n", Plugin: "a", Code: 137}},
		{rule: "a name with blanks is one plugin's, with its arguments and its configuration",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "my own plugin", "act", bash+`echo "${0%/*} $1 $CONFIG_KEY" | sed "s|$PLUGIN_PATH/||"`+"\n", 0o755)
				plugin(t, walk.Path, "my own plugin", "plugin.toml", "[plugin.config]\nkey = \"value\"\n", 0o644)
			},
			args: []string{"a b"}, want: outcome{Out: "enabled/my own plugin a b value\n"}},
		{rule: "what it leaves running in the background keeps nobody waiting",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"sleep 600 >/dev/null 2>&1 </dev/null & echo a $! > $PLUGIN_PATH/pid\n", 0o755)
				plugin(t, walk.Path, "b", "act", bash+"read -r _ pid < $PLUGIN_PATH/pid; kill $pid; echo b\n", 0o755)
			},
			want: outcome{Out: "b\n"}},
		{rule: "10 is an ordinary failure in a trigger",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", bash+"exit 10\n", 0o755)
				plugin(t, walk.Path, "b", "act", bash+"echo b\n", 0o755)
			},
			want: outcome{Plugin: "a", Code: 10}},
		{rule: "a file without #! is read by the shell",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", "[[ $1 == x ]] && echo bash\n", 0o755)
				plugin(t, walk.Path, "b", "act", "", 0o755)
			},
			args: []string{"x"}, want: outcome{Out: "bash\n"}},
		{rule: "an interpreter that is not there is 126 and ends the walk",
			set: func(t *testing.T, walk *Walk) {
				plugin(t, walk.Path, "a", "act", "#!/no/such/interpreter\n", 0o755)
				plugin(t, walk.Path, "b", "act", bash+"echo b\n", 0o755)
			},
			want: outcome{Plugin: "a", Code: 126}},
		{rule: "the environment is the caller's with SELF and PLUGIN_PATH, without BASH_ENV and PLUGIN_NAME",
			set: func(t *testing.T, walk *Walk) {
				walk.Self = "/opt/bin/plugn"
				walk.Env = append(walk.Env, "MINE=kept", "BASH_ENV=/nowhere")
				plugin(t, walk.Path, "a", "act", bash+
					`echo "$MINE $SELF $SELF_EXECUTABLE ${BASH_ENV-none} ${PLUGIN_NAME-none}"; [[ -d $PLUGIN_PATH/enabled ]]`+"\n", 0o755)
			},
			want: outcome{Out: "kept plugn /opt/bin/plugn none none\n"}},
		{rule: "CONFIG_ variables add up over the walk; a plugin.toml that is missing or broken stops nothing",
			set: func(t *testing.T, walk *Walk) {
				say := bash + `echo "${CONFIG_TESTING-unset} ${CONFIG_TWO_WORDS-unset}"` + "\n"
				for _, name := range []string{"a", "b", "c", "d"} {
					plugin(t, walk.Path, name, "act", say, 0o755)
				}
				plugin(t, walk.Path, "b", "plugin.toml", "[plugin]\nversion = \"1\"\n[plugin.config]\ntesting = \"true\"\n", 0o644)
				plugin(t, walk.Path, "c", "plugin.toml", "[plugin.config]\ntwo-words = \"yes\"\n", 0o644)
				plugin(t, walk.Path, "d", "plugin.toml", "[plugin\n", 0o644)
			},
			want: outcome{Out: "unset unset\ntrue unset\ntrue yes\ntrue yes\n"}},
		{rule: "CONFIG_: the environment before config.toml before plugin.toml; a key only config.toml has does not count",
			set: func(t *testing.T, walk *Walk) {
				walk.Env = append(walk.Env, "MY_PLUG_ONE=environment")
				plugin(t, walk.Path, "my-plug", "act", bash+`echo "$CONFIG_ONE $CONFIG_TWO $CONFIG_THREE ${CONFIG_FOUR-unset}"`+"\n", 0o755)
				plugin(t, walk.Path, "my-plug", "plugin.toml", "[plugin.config]\none='d'\ntwo='d'\nthree='default'\n", 0o644)
				must(t, os.WriteFile(filepath.Join(walk.Path, "config.toml"), []byte("[my-plug]\none='user'\ntwo='user'\nfour='user'\n"), 0o644))
			},
			want: outcome{Out: "environment user default unset\n"}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			walk := &Walk{Path: t.TempDir(), Env: os.Environ()}
			test.set(t, walk)
			if diff := cmp.Diff(test.want, walked(t, walk, nil, test.args...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSharedInput: there is no pipe between plugins, only one stdin for all.
func TestSharedInput(t *testing.T) {
	walk := &Walk{Path: t.TempDir(), Env: os.Environ()}
	plugin(t, walk.Path, "a", "act", bash+"IFS= read -r line; echo \"a:$line\"\n", 0o755)
	plugin(t, walk.Path, "b", "act", bash+"sed 's/^/b:/'\n", 0o755)
	plugin(t, walk.Path, "c", "act", bash+"sed 's/^/c:/'; echo end\n", 0o755)
	read, write, err := os.Pipe()
	must(t, err)
	_, err = io.WriteString(write, "one\ntwo\nthree\n")
	must(t, err)
	must(t, write.Close())
	want := outcome{Out: "a:one\nb:two\nb:three\nend\n"}
	if diff := cmp.Diff(want, walked(t, walk, read)); diff != "" {
		t.Error(diff)
	}
	must(t, read.Close())
	if diff := cmp.Diff(outcome{Out: "a:end\n"}, walked(t, walkOf(t, "a", "IFS= read -r line || true; echo \"a:${line}end\""), nil)); diff != "" {
		t.Errorf("without stdin a hook that reads sees the end of it at once: %s", diff)
	}
}

func walkOf(t *testing.T, name, script string) *Walk {
	t.Helper()
	walk := &Walk{Path: t.TempDir(), Env: os.Environ()}
	plugin(t, walk.Path, name, "act", bash+script+"\n", 0o755)
	return walk
}

// TestFolder: hooks run in the caller's folder, or in the one that the walk names, as
// post-extract does in the unpacked source.
func TestFolder(t *testing.T) {
	walk := walkOf(t, "a", "pwd -P")
	here, err := filepath.EvalSymlinks(must1(t)(os.Getwd()))
	must(t, err)
	if got := walked(t, walk, nil); got.Out != here+"\n" {
		t.Errorf("ran in %q, want %q", got.Out, here)
	}
	walk.Dir = walk.Path
	if got := walked(t, walk, nil); got.Out != walk.Path+"\n" {
		t.Errorf("ran in %q, want %q", got.Out, walk.Path)
	}
}

func TestCoreHandlers(t *testing.T) {
	tell := func(_ context.Context, call Call) error {
		_, err := fmt.Fprintf(call.Out, "go:%s/%s%q\n", call.Plugin, call.Trigger, call.Args)
		return err
	}
	fresh := func(t *testing.T) *Walk {
		walk := &Walk{Path: t.TempDir(), Env: os.Environ(), Core: map[string]map[string]Handler{
			"nginx-vhosts": {"act": tell}, "20_events": {"act": tell}, "quiet": {"other": tell}}}
		for _, name := range []string{"letsencrypt", "redirect"} {
			plugin(t, walk.Path, name, "act", bash+"echo "+name+"\n", 0o755)
		}
		return walk
	}
	order := "go:20_events/act[\"app\"]\nletsencrypt\ngo:nginx-vhosts/act[\"app\"]\nredirect\n"
	t.Run("stand at their plugin's place, laid out or not", func(t *testing.T) {
		walk := fresh(t)
		if diff := cmp.Diff(outcome{Out: order}, walked(t, walk, nil, "app")); diff != "" {
			t.Error(diff)
		}
		core := filepath.Join(t.TempDir(), "core-plugins", "nginx-vhosts")
		must(t, os.MkdirAll(core, 0o755))
		must(t, os.WriteFile(filepath.Join(core, "act"), []byte(bash+"echo file\n"), 0o755))
		must(t, os.Symlink(core, filepath.Join(walk.Path, "enabled", "nginx-vhosts")))
		if diff := cmp.Diff(outcome{Out: order}, walked(t, walk, nil, "app")); diff != "" {
			t.Errorf("the core's own file ran: %s", diff)
		}
		if got := walk.Ships("act"); !slices.Equal(got, []string{"letsencrypt", "redirect"}) {
			t.Errorf("ships %v, want the two that are not the core's", got)
		}
	})
	t.Run("give way to an installed plugin of the same name", func(t *testing.T) {
		walk := fresh(t)
		plugin(t, walk.Path, "nginx-vhosts", "act", bash+"echo theirs\n", 0o755)
		want := outcome{Out: "go:20_events/act[]\nletsencrypt\ntheirs\nredirect\n"}
		if diff := cmp.Diff(want, walked(t, walk, nil)); diff != "" {
			t.Error(diff)
		}
	})
	for code, failed := range map[int]error{4: fmt.Errorf("wrapped: %w", &Exit{Code: 4}), 1: errors.New("broken")} {
		t.Run(fmt.Sprintf("end the walk with %d", code), func(t *testing.T) {
			walk := fresh(t)
			walk.Core["nginx-vhosts"]["act"] = func(context.Context, Call) error { return failed }
			want := outcome{Out: "go:20_events/act[]\nletsencrypt\n", Plugin: "nginx-vhosts", Code: code}
			if diff := cmp.Diff(want, walked(t, walk, nil)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("count as somebody who has the trigger", func(t *testing.T) {
		walk := fresh(t)
		if !walk.Has("other") || !walk.Has("act") || walk.Has("nobody") {
			t.Error("other and act have somebody, nobody has none")
		}
		walk.Core = map[string]map[string]Handler{"20_events": {"other": tell}}
		if walk.Has("other") {
			t.Error("the events plugin counts as somebody")
		}
	})
}

// TestCancel: a walk that is cancelled ends its hook and asks no other.
func TestCancel(t *testing.T) {
	walk := walkOf(t, "a", "echo begun; sleep 60")
	plugin(t, walk.Path, "b", "act", bash+"echo b\n", 0o755)
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	var reader sync.WaitGroup
	reader.Go(func() {
		_, _ = read.Read(make([]byte, 16))
		cancel()
		_, _ = io.Copy(io.Discard, read)
	})
	err := walk.Trigger(ctx, "act", nil, Streams{Out: write})
	_ = write.Close()
	reader.Wait()
	if failure, ok := errors.AsType[*Failure](err); !ok || failure.Plugin != "a" || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the failure of a for being cancelled", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must1(t *testing.T) func(string, error) string {
	return func(value string, err error) string {
		t.Helper()
		must(t, err)
		return value
	}
}

func TestCommands(t *testing.T) {
	const answer = bash + `case "$1" in
  help | hello:help) echo "    hello <app>, Says hello" ;;
  hello:fail) exit 3 ;;
  hello) echo "hello $*" ;;
  *) exit "$DOKKU_NOT_IMPLEMENTED_EXIT" ;;
esac
`
	for _, test := range []struct {
		name    string
		argv    []string
		handled bool
		want    outcome
	}{
		{"10 passes the command on, and nobody takes it", []string{"other", "x"}, false, outcome{}},
		{"0 takes it, and the others are asked all the same", []string{"help"}, true,
			outcome{Out: "    hello <app>, Says hello\n    last, Says nothing\n"}},
		{"the whole argv, the word included", []string{"hello", "a b"}, true, outcome{Out: "hello hello a b\n"}},
		{"any other code ends it at once", []string{"hello:fail"}, false, outcome{Plugin: "hello", Code: 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			walk := &Walk{Path: t.TempDir(), Env: append(os.Environ(), "DOKKU_NOT_IMPLEMENTED_EXIT=10")}
			plugin(t, walk.Path, "hello", "commands", answer, 0o755)
			plugin(t, walk.Path, "last", "commands", bash+"[[ $1 == help ]] || exit 10; echo '    last, Says nothing'\n", 0o755)
			var stdout, stderr bytes.Buffer
			handled, err := walk.Commands(context.Background(), test.argv, Streams{Out: &stdout, Err: &stderr})
			if handled != test.handled {
				t.Errorf("handled %t, want %t", handled, test.handled)
			}
			if diff := cmp.Diff(test.want, outcomeOf(t, &stdout, &stderr, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	walk := &Walk{Path: t.TempDir(), Env: os.Environ()}
	plugin(t, walk.Path, "a", "commands", bash, 0o644)
	_, err := walk.Commands(context.Background(), []string{"x"}, Streams{})
	if failure, ok := errors.AsType[*Failure](err); !ok || failure.Code != 126 {
		t.Errorf("error %v, want 126 for a file that is not executable", err)
	}
}

func TestSubcommand(t *testing.T) {
	walk := &Walk{Path: t.TempDir(), Env: os.Environ()}
	must(t, os.MkdirAll(filepath.Join(walk.Path, "available", "hello", "subcommands"), 0o755))
	must(t, os.MkdirAll(filepath.Join(walk.Path, "available", "url", "subcommands"), 0o755))
	plugin(t, walk.Path, "hello", "subcommands/default", bash+"printf '[%s]' \"$@\"\n", 0o755)
	plugin(t, walk.Path, "hello", "subcommands/world", bash+"exit 5\n", 0o755)
	plugin(t, walk.Path, "hello", "subcommands/off", bash, 0o644)
	plugin(t, walk.Path, "url", "subcommands/url", bash, 0o755)
	for word, want := range map[string]string{"hello": "hello/subcommands/default", "hello:world": "hello/subcommands/world",
		"url": "url/subcommands/url", "hello:off": "", "hello:": "", "nobody": "", "": "", "../x": "", "..": ""} {
		_, file := walk.Subcommand(word)
		if got := strings.TrimPrefix(file, filepath.Join(walk.Path, "enabled")+"/"); got != want {
			t.Errorf("%q is answered by %q, want %q", word, got, want)
		}
	}
	var stdout bytes.Buffer
	name, file := walk.Subcommand("hello")
	must(t, walk.Execute(context.Background(), name, file, []string{"hello", "a b"}, Streams{Out: &stdout}))
	if stdout.String() != "[hello][a b]" {
		t.Errorf("printed %q", stdout.String())
	}
	name, file = walk.Subcommand("hello:world")
	err := walk.Execute(context.Background(), name, file, []string{"hello:world"}, Streams{})
	if failure, ok := errors.AsType[*Failure](err); !ok || failure.Code != 5 {
		t.Errorf("error %v, want its exit code 5", err)
	}
}
