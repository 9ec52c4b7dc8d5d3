package imports

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

var update = flag.Bool("update", false, "write what is wanted of the hosts anew")

// recorded is a Dokku host as its answers: a file `dokku COMMAND …` is what the command
// prints, one of that name with ! before it how it fails.
type recorded struct {
	answers map[string]string
	asked   []string
}

func (r *recorded) run(_ context.Context, argv []string) (Answer, error) {
	line := strings.Join(argv, " ")
	r.asked = append(r.asked, line)
	if text, ok := r.answers["dokku "+line]; ok {
		return Answer{Out: text}, nil
	}
	if text, ok := r.answers["! dokku "+line]; ok {
		return Answer{Err: text, Exit: 1}, nil
	}
	for known := range r.answers {
		if words := strings.Fields(strings.TrimPrefix(known, "! ")); len(words) > 1 && words[1] == argv[0] {
			return Answer{Err: " !     Invalid flag passed, valid flags: --some-flag\n", Exit: 1}, nil
		}
	}
	return Answer{Err: " !     `" + line + "` is not a dokku command.\n !     See `dokku help` for a list of available commands.\n", Exit: 1}, nil
}

// sample is a recorded host, what to read there and what is to come of it.
type sample struct {
	file    string
	archive *txtar.Archive
	host    *recorded
	said    map[string]string
	options Options
}

func openSample(t *testing.T, file string) *sample {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{file: file, archive: archive, host: &recorded{answers: map[string]string{}}, said: map[string]string{}}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		s.said[key] = value
	}
	for _, one := range archive.Files {
		s.host.answers[one.Name] = string(one.Data)
	}
	s.options = Options{Run: s.host.run, Address: "dokku@host.example.com", Plain: strings.Fields(s.said["plain"])}
	if s.said["plain"] == "" {
		s.options.Plain = nil
	}
	return s
}

func (s *sample) read(t *testing.T) (*Draft, error) {
	t.Helper()
	if s.said["server"] != "" {
		return Server(t.Context(), s.options, s.said["server"])
	}
	return App(t.Context(), s.options, s.said["app"])
}

// TestHosts: what is written of hosts of several versions; that it loads; and that no value
// of a secret is in any of it.
func TestHosts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d hosts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := openSample(t, file)
			draft, err := s.read(t)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(draft.Text+strings.Join(draft.Stays, ""), "canary") {
				t.Errorf("the value of a secret is in it:\n%s", draft.Text)
			}
			s.compare(t, draft)
		})
	}
}

// compare holds what was written against what the file wants.
func (s *sample) compare(t *testing.T, draft *Draft) {
	t.Helper()
	const wanted = "want/dokku.hcl"
	var former string
	var others []txtar.File
	for _, one := range s.archive.Files {
		if one.Name == wanted {
			former = string(one.Data)
			continue
		}
		others = append(others, one)
	}
	if *update {
		text := txtar.Format(&txtar.Archive{Comment: s.archive.Comment, Files: append(others, txtar.File{Name: wanted, Data: []byte(draft.Text)})})
		if err := os.WriteFile(s.file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(former, draft.Text); diff != "" {
		t.Errorf("-want +got; go test ./push/imports -run Hosts -update writes it anew:\n%s", diff)
	}
}

// TestSame: an old Dokku and a new one that have the same app give the same app.
func TestSame(t *testing.T) {
	loaded := func(name string) *manifest.App {
		draft, err := openSample(t, filepath.Join("testdata", name+".txtar")).read(t)
		if err != nil {
			t.Fatal(err)
		}
		app, found := manifest.Load(document(draft.Text), manifest.Options{})
		if found.Failed() {
			t.Fatal(found)
		}
		return app
	}
	old, fresh := loaded("app-old"), loaded("app-json")
	for _, pair := range [][2]any{{old.Config, fresh.Config}, {old.Secrets, fresh.Secrets}, {old.Domains, fresh.Domains}, {old.Ports, fresh.Ports}, {old.Storage, fresh.Storage},
		{old.DockerOptions, fresh.DockerOptions}, {old.Formation, fresh.Formation}, {old.Nginx, fresh.Nginx}, {old.Checks, fresh.Checks}, {old.Services, fresh.Services}} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("-old +new:\n%s", diff)
		}
	}
}

// TestUnknown: an answer in a form that no Dokku has is refused, with the command and the
// line; where the line may hold a secret, with its number alone.
func TestUnknown(t *testing.T) {
	for _, one := range []struct{ command, answer, says string }{
		{"apps:report shop", "=====> shop app information\n       App dir   /home/dokku/shop\n", `apps:report shop answers in a form that is not known: line 2 is "       App dir   /home/dokku/shop"`},
		{"apps:report shop", "=====> other app information\n", "line 1"},
		{"apps:report shop", "", "line 1"},
		{"domains:report shop", "Domains app vhosts: a\n", "domains:report shop answers in a form that is not known: line 1"},
		{"ps:scale shop", "-----> Scaling for shop\nweb has 1\n", `ps:scale shop answers in a form that is not known: line 2 is "web has 1"`},
		{"config:export shop", "export A='b'\nexport B='canary-secret\n", "config:export shop answers in a form that is not known: see its line 2"},
		{"config:export shop", "export A=$(canary-secret)\n", "see its line 1"},
		{"config:export shop", "canary-secret\n", "see its line 1"},
		{"config:export --format json shop", "{\"A\": [\"canary-secret\"]}\n", "config:export --format json shop answers in a form that is not known"},
		{"docker-options:report shop", "=====> shop docker options information\n  canary-secret\n", "docker-options:report shop answers in a form that is not known: see its line 2"},
		{"docker-options:report shop", "=====> shop docker options information\n       Docker options deploy: canary-secret\n", "docker-options:report shop (deploy)"},
		{"docker-options:report shop --format json", "{\"deploy\": {\"canary-secret\": 1}}\n", "docker-options:report shop --format json"},
		{"cron:list shop", "ID Schedule Command\nwhat?\n", `cron:list shop answers in a form that is not known: line 2 is "what?"`},
		{"plugin:list", "plugn: 0.5.0\n???\n", `plugin:list answers in a form that is not known: line 2 is "???"`},
		{"postgres:app-links shop", "no links, sorry!\n", `postgres:app-links shop answers in a form that is not known: line 1 is "no links, sorry!"`},
	} {
		s := openSample(t, filepath.Join("testdata", "app-old.txtar"))
		s.host.answers["dokku "+one.command] = one.answer
		draft, err := s.read(t)
		if err == nil || !strings.Contains(err.Error(), one.says) || api.AsError(err).Code != api.WrongProtocol || draft != nil {
			t.Errorf("%s: %v", one.command, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a secret is shown: %v", one.command, err)
		}
	}
}

// TestRefused: what cannot be read is said, and nothing comes of it.
func TestRefused(t *testing.T) {
	read := func(command, failure string) error {
		s := openSample(t, filepath.Join("testdata", "app-old.txtar"))
		delete(s.host.answers, "dokku "+command)
		s.host.answers["! dokku "+command] = failure
		_, err := s.read(t)
		return err
	}
	for _, one := range []struct {
		command, failure, says string
		code                   api.Code
	}{
		{"apps:report shop", " !     App shop does not exist\n", "there is no app shop on this host", api.NotFound},
		{"apps:report shop", " !     Access denied\n", "apps:report shop failed (exit code 1): Access denied", api.Precondition},
		{"domains:report shop", " !     Access denied\n", "domains:report shop failed (exit code 1): Access denied", api.Precondition},
		{"config:export shop", " !     Access denied\n", "config:export shop failed", api.Precondition},
		{"checks:report shop", " !     `checks:report shop` is not a dokku command.\n", "the host does not know checks:report", api.Precondition},
	} {
		err := read(one.command, one.failure)
		if err == nil || !strings.Contains(err.Error(), one.says) || api.AsError(err).Code != one.code {
			t.Errorf("%s: %v", one.command, err)
		}
	}
	s := openSample(t, filepath.Join("testdata", "app-old.txtar"))
	s.options.Plain = []string{"LOG_LEVEL", "LOG_LEVEL_MISTYPED"}
	if draft, err := s.read(t); err != nil || cmp.Diff([]string{"LOG_LEVEL_MISTYPED"}, draft.Unknown) != "" {
		t.Errorf("--plain of a key that is not there: %v, %v", draft, err)
	}
	for _, name := range []string{"", "../x", "--global", "a b"} {
		if _, err := App(t.Context(), s.options, name); err == nil || api.AsError(err).Code != api.Usage {
			t.Errorf("the app %q: %v", name, err)
		}
	}
}

// TestApps: the list with and without its title, an empty host, and what is no list.
func TestApps(t *testing.T) {
	for answer, want := range map[string][]string{"=====> My Apps\nblog\nshop.example\n": {"blog", "shop.example"}, "blog\n": {"blog"}, "": nil} {
		host := &recorded{answers: map[string]string{"dokku apps:list": answer}}
		got, err := Apps(t.Context(), Options{Run: host.run})
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
	}
	host := &recorded{answers: map[string]string{"! dokku apps:list": " !     You haven't deployed any applications yet\n"}}
	if got, err := Apps(t.Context(), Options{Run: host.run}); err != nil || got != nil {
		t.Errorf("an empty host: %v, %v", got, err)
	}
	host = &recorded{answers: map[string]string{"dokku apps:list": "Welcome to Ubuntu!\n"}}
	if _, err := Apps(t.Context(), Options{Run: host.run}); err == nil || !strings.Contains(err.Error(), `line 1 is "Welcome to Ubuntu!"`) {
		t.Errorf("no list: %v", err)
	}
}

// TestExports: what shells write is read as they would; what would run something is not.
func TestExports(t *testing.T) {
	got, n := parseExports("export A='it'\\''s'\nexport B='two\nlines'\nC=\"say \\\"hi\\\"\"\nD=plain\nexport E=''\r\n")
	want := map[string]string{"A": "it's", "B": "two\nlines", "C": `say "hi"`, "D": "plain", "E": ""}
	if diff := cmp.Diff(want, got); diff != "" || n != -1 {
		t.Errorf("line %d\n%s", n, diff)
	}
	for text, line := range map[string]int{"A='b'\nB": 1, "A=`b`": 0, "A=b c": 0, "A='b\nc\nd": 0, "1A=b": 0, "A=\"$B\"": 0, "A=\"b": 0, "A=\\": 0, "A='b\nc'\n;": 2} {
		if got, n := parseExports(text); n != line {
			t.Errorf("%q: line %d, %v; want %d", text, n, got, line)
		}
	}
}

// TestOptions: the options of a phase stand on one line.
func TestOptions(t *testing.T) {
	for text, want := range map[string][]string{
		"":                              nil,
		"--init --shm-size 256m -v a:b": {"--init", "--shm-size 256m", "-v a:b"},
		`-e A="b -c d" --label='x y'`:   {`-e A="b -c d"`, `--label='x y'`},
		"--memory-swap -1 --init":       {"--memory-swap -1", "--init"},
		`--label a\ -b`:                 {`--label a\ -b`},
	} {
		if got, ok := splitOptions(text); !ok || cmp.Diff(want, got) != "" {
			t.Errorf("%q: %q, %t", text, got, ok)
		}
	}
	for _, text := range []string{"word", "-e 'open", `"`} {
		if got, ok := splitOptions(text); ok {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// FuzzReport: no answer of a host makes a file that does not load, or one that holds more
// than was said.
func FuzzReport(f *testing.F) {
	f.Add("shop.example.com", "--init -v /data:/data", "export A='b'\n", "web:  2\n", "1m")
	f.Add("${env(\"X\")} *.a b", "-e A=${B} --label a=\"%{x}\" --privileged", "export NODE_ENV='${x}'\nexport Ä=1\n", "web: 0\nclock: 7\n", "\"")
	f.Add("a\nb", "--link dokku.postgres.a\":x --link dokku.redis.a:b", "export A=''\nexport a=''\nexport _=1\n", "a_b: 3\n", "a;b")
	f.Fuzz(func(t *testing.T, vhosts, options, exports, scale, size string) {
		s := openSample(t, filepath.Join("testdata", "app-old.txtar"))
		s.options.Plain = nil
		for command, answer := range map[string]string{
			"domains:report shop":        "=====> shop domains information\n       Domains app enabled: true\n       Domains app vhosts: " + vhosts + "\n       Domains global vhosts: example.com\n",
			"docker-options:report shop": "=====> shop docker options information\n       Docker options deploy: " + options + "\n       Docker options run: " + options + "\n",
			"config:export shop":         exports, "ps:scale shop": scale,
			"nginx:report shop": "=====> shop nginx information\n       Nginx client max body size: " + size + "\n",
		} {
			s.host.answers["dokku "+command] = answer
		}
		draft, err := s.read(t)
		if err != nil {
			if api.AsError(err).Code != api.WrongProtocol {
				t.Error(err)
			}
			return
		}
		if strings.ContainsAny(draft.Text, "\r\x00\x1b") {
			t.Errorf("%q", draft.Text)
		}
	})
}
