package receive

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestNetrc: one host's entries are replaced or go; all else stays as somebody wrote it.
func TestNetrc(t *testing.T) {
	w := newWorld(t)
	places := w.Host.Places
	file := netrcFile(places)
	is := func(want string) {
		t.Helper()
		text, err := os.ReadFile(file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil || string(text) != want || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v: %q, want %q", err, info.Mode(), text, want)
		}
	}
	must(t, Authenticate(t.Context(), places, "github.com", "ada", "s3cret"))
	is("machine github.com login ada password s3cret\n")
	must(t, os.WriteFile(file, []byte("# mine\nmachine a.example login machine\n  password default\nmachine GitHub.com\n\tlogin x password y\nmachine b.example login b account c password d\ndefault login anonymous password me"), 0o644))
	must(t, Authenticate(t.Context(), places, "github.com", "ada", "other"))
	const others = "# mine\nmachine a.example login machine\n  password default\nmachine b.example login b account c password d\n"
	is(others + "machine github.com login ada password other\ndefault login anonymous password me")
	must(t, Authenticate(t.Context(), places, "github.com", "", ""))
	is(others + "default login anonymous password me")
	for _, password := range []string{"two words", "a\nmachine evil.example login x password y", `"`, `a\b`, "a\x00"} {
		if err := Authenticate(t.Context(), places, "github.com", "ada", password); api.AsError(err).Code != api.Usage || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", password, err)
		}
	}
	is(others + "default login anonymous password me")
}

// TestGitHost: what is no host's name.
func TestGitHost(t *testing.T) {
	for text, want := range map[string]string{"github.com": "github.com ", "git.example.com:2222": "git.example.com 2222", "192.0.2.1": "192.0.2.1 "} {
		if host, port, err := GitHost(text); err != nil || host+" "+port != want {
			t.Errorf("%s: %q %q %v", text, host, port, err)
		}
	}
	for _, text := range []string{"", "-oProxyCommand=id", "a b", "a;id", "https://github.com", "git@github.com", "a:b", "a:123456", "-D", "a.", "a\nb"} {
		if _, _, err := GitHost(text); api.AsError(err).Code != api.Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestFetchWithPassword: a repository behind a password is fetched once git was told it.
func TestFetchWithPassword(t *testing.T) {
	w := newWorld(t)
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	repository := w.Host.Places.App("shop")
	command(t, repository, "git", "update-ref", "refs/heads/main", c)
	command(t, repository, "git", "--git-dir=.", "update-server-info")
	files := http.FileServer(http.Dir(repository))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ada" || password != "s3cret" {
			rw.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(rw, "who are you?", http.StatusUnauthorized)
			return
		}
		files.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	must(t, w.Host.Settings.Create("other"))
	sync := func() error {
		_, _, err := Sync(t.Context(), w.Host, "other", server.URL, "main", no)
		return err
	}
	if err := sync(); err == nil {
		t.Error("it was fetched without a password")
	}
	at, err := url.Parse(server.URL)
	must(t, err)
	must(t, Authenticate(t.Context(), w.Host.Places, at.Hostname(), "ada", "s3cret"))
	must(t, sync())
	if head, _, err := Head(t.Context(), w.Host, "other"); err != nil || head != c {
		t.Errorf("%s, %v", head, err)
	}
	must(t, Authenticate(t.Context(), w.Host.Places, at.Hostname(), "ada", "wr0ng"))
	if err := sync(); err == nil || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("with a wrong password: %v", err)
	}
}

// TestFetchWithKey: a repository behind ssh is fetched with the host's own key, once that
// server is known and lets the key in.
func TestFetchWithKey(t *testing.T) {
	w := newWorld(t)
	places := w.Host.Places
	c := w.commit(map[string]string{"Procfile": "web: x\n"})
	repository := places.App("shop")
	command(t, repository, "git", "update-ref", "refs/heads/main", c)
	must(t, w.Host.Settings.Create("other"))
	if key, err := PublicKey(places); err != nil || key != "" {
		t.Errorf("a key before there is one: %q, %v", key, err)
	}
	must(t, GenerateKey(t.Context(), places))
	if err := GenerateKey(t.Context(), places); api.AsError(err).Code != api.Precondition {
		t.Errorf("a second key: %v", err)
	}
	key, err := PublicKey(places)
	if err != nil || !strings.HasPrefix(key, "ssh-ed25519 ") {
		t.Fatalf("%q, %v", key, err)
	}
	if info, err := os.Stat(filepath.Join(places.Root, ".ssh", "id_ed25519")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	sshd := testkit.SSHD(t, testkit.SSHDOptions{AuthorizedKeys: `command="git-upload-pack ` + repository + `",no-pty ` + key})
	host, port, err := net.SplitHostPort(sshd.Addr)
	must(t, err)
	from := "ssh://root@" + sshd.Addr + "/any"
	if _, _, err := Sync(t.Context(), w.Host, "other", from, "main", no); err == nil || !strings.Contains(err.Error(), "Host key verification failed") {
		t.Errorf("a server that nobody knows: %v", err)
	}
	added, err := AllowHost(t.Context(), places, host, port)
	if err != nil || len(added) == 0 || !strings.HasPrefix(added[0], "["+host+"]:"+port+" ssh-ed25519 ") {
		t.Fatalf("%q, %v", added, err)
	}
	if again, err := AllowHost(t.Context(), places, host, port); err != nil || len(again) > 0 {
		t.Errorf("once more: %q, %v", again, err)
	}
	if _, _, err := Sync(t.Context(), w.Host, "other", from, "main", no); err != nil {
		t.Error(err)
	}
	if head, _, err := Head(t.Context(), w.Host, "other"); err != nil || head != c {
		t.Errorf("%s, %v", head, err)
	}
	if _, err := AllowHost(t.Context(), places, host, "1"); api.AsError(err).Code != api.Precondition || !strings.Contains(err.Error(), "no ssh server answers there") {
		t.Errorf("nobody answers: %v", err)
	}
}
