package manifest

import (
	"strings"
	"testing"
)

func TestAppName(t *testing.T) {
	for name, want := range map[string]string{
		"app": "", "my-app": "", "0app": "", "api.example.com": "", strings.Repeat("a", 63): "",
		"":                      "the app name is empty; write lower-case letters, digits and hyphens, such as my-app",
		"My_App":                "app name My_App holds more than lower-case letters, digits, hyphens and dots; write my-app",
		"a:b":                   `app name "a:b" holds more than lower-case letters, digits, hyphens and dots; write a-b`,
		"a/b":                   "app name a/b holds more than lower-case letters, digits, hyphens and dots; write a-b",
		"-app":                  "app name -app begins with -; write app",
		".ssh":                  "app name .ssh begins with .; write ssh",
		".":                     "app name . begins with .; write lower-case letters, digits and inner hyphens, such as my-app",
		"--global":              "app name --global begins with -; write lower-case letters, digits and inner hyphens, such as my-app",
		"app-":                  "app name app- ends with -; write app",
		"app.":                  "app name app. ends with .; write app",
		"a..b":                  "app name a..b holds two dots in a row; write a.b",
		"global":                "app name global is reserved; write another one, such as global-app",
		"dokku":                 "app name dokku is reserved; write another one, such as dokku-app",
		"tls":                   "app name tls is reserved; write another one, such as tls-app",
		"VHOST":                 "app name VHOST holds more than lower-case letters, digits, hyphens and dots; write vhost",
		strings.Repeat("a", 64): "app name " + strings.Repeat("a", 60) + "… is longer than 63 bytes; write " + strings.Repeat("a", 63),
	} {
		got := ""
		if err := AppName(name); err != nil {
			got = err.Error()
		}
		if name == strings.Repeat("a", 64) { // shown in quotes, for it is cut
			want = strings.Replace(want, strings.Repeat("a", 60)+"…", `"`+strings.Repeat("a", 60)+`\u2026"`, 1)
		}
		if got != want {
			t.Errorf("AppName(%q)\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestAppNameRefuses(t *testing.T) {
	names := []string{"a\u0430", "a\u200bb", "\u202eapp", "a\x00", "a\xff", "a%2fb", "a\nb", "a\tb", "a b", "é"}
	for _, c := range ";$`|&><(){}[]*?!#\\\"'~" {
		names = append(names, "a"+string(c)+"b", string(c))
	}
	for _, name := range names {
		for what, check := range map[string]func(string) error{"AppName": AppName, "ExistingAppName": ExistingAppName, "ProcessName": ProcessName} {
			err := check(name)
			if err == nil {
				t.Errorf("%s(%q) is accepted", what, name)
				continue
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s(%q) does not print plainly: %q", what, name, err)
			}
		}
	}
}

// What Dokku has made once stays good (ALSO-REFUSE A).
func TestExistingAppName(t *testing.T) {
	for _, name := range []string{"app-", "app.", "a..b", "global"} {
		if err := ExistingAppName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProcessName(t *testing.T) {
	for name, want := range map[string]string{
		"web": "", "worker-1": "", "1": "", strings.Repeat("w", 63): "",
		"":         "the name of the process type is empty; write one, such as web",
		"Worker_1": "process type Worker_1 holds more than lower-case letters, digits and hyphens; write worker-1",
		"web.1":    "process type web.1 holds more than lower-case letters, digits and hyphens; write web-1",
		"-web":     "process type -web begins or ends with a hyphen; write web",
		"web-":     "process type web- begins or ends with a hyphen; write web",
		"___":      "process type ___ holds more than lower-case letters, digits and hyphens; write lower-case letters, digits and inner hyphens",
	} {
		got := ""
		if err := ProcessName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ProcessName(%q)\n got %s\nwant %s", name, got, want)
		}
	}
	if ProcessName(strings.Repeat("w", 64)) == nil {
		t.Error("64 bytes are accepted")
	}
}

func TestEnvKey(t *testing.T) {
	for _, key := range []string{"A", "_a", "A1_b", "PORT", "DOKKU_TRACE", "PATH", strings.Repeat("A", 256)} {
		if err := EnvKey(key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, key := range []string{"", "1A", "A-B", "A B", "A=B", "Ä", "A\x00", "A\n", "A\xff", strings.Repeat("A", 257)} {
		if EnvKey(key) == nil {
			t.Errorf("%q is accepted", key)
		}
	}
	for _, key := range []string{"PORT", "GIT_REV", "PATH", "LD_PRELOAD", "DOKKU_TRACE", "DOKKU_X", "dokku_x", "1A"} {
		if problem, hint := declaredKey(key); problem == "" || hint == "" {
			t.Errorf("a file may set %s", key)
		}
	}
	if problem, _ := declaredKey("DATABASE_URL"); problem != "" {
		t.Error(problem)
	}
}

// What a suggestion says must be good itself.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"Worker_1", "a..b", "-x-", "é", "a.-b", "A B\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if fixed := fixName(name, false); fixed != "" && ProcessName(fixed) != nil {
			t.Errorf("%q: suggests %q: %v", name, fixed, ProcessName(fixed))
		}
		if fixed := fixName(name, true); fixed != "" && ExistingAppName(fixed) != nil {
			t.Errorf("%q: suggests %q: %v", name, fixed, ExistingAppName(fixed))
		}
		if ProcessName(name) == nil && fixName(name, false) != strings.ReplaceAll(name, "--", "-") && !strings.Contains(name, "--") {
			t.Errorf("%q is good and would be changed", name)
		}
	})
}
