package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

var registryWire = regexp.MustCompile(`sha256:[0-9a-f]{64}, .*?(\d+) bytes\)? on the wire`)

// registryBytes reads what a push to a registry said it sent.
func registryBytes(t *testing.T, r testkit.Result) int {
	t.Helper()
	found := registryWire.FindStringSubmatch(r.Stderr)
	if found == nil {
		t.Fatalf("the push does not say what it sent:\n%s", r.Stderr)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRegistryPlain: the registry way, without a password, on the loopback.
func TestRegistryPlain(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	repository := registry.Addr + "/team/app"
	forgetPulled(t, repository)
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "registry")
	n := between(t, h.SSH)
	push := func() (r testkit.Result, blobs int) {
		t.Helper()
		before := registry.Requests("PUT", "/team/app/blobs/uploads/")
		r = pushed(t, testkit.Run(t, n.command(t, h, dir, "--app", app, "--registry", repository)))
		return r, registry.Requests("PUT", "/team/app/blobs/uploads/") - before
	}
	r, blobs := push()
	answers(t, h, app, "/", "Hello")
	if said := registryBytes(t, r); blobs != 3 || said < 500<<10 {
		t.Errorf("the first push sent %d blobs and says %d bytes; want 2 layers and the config", blobs, said)
	}
	if up, _ := n.counted(); up > 64<<10 {
		t.Errorf("%d bytes went over ssh as well", up)
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	r, blobs = push()
	answers(t, h, app, "/", "Hello again")
	said := registryBytes(t, r)
	t.Logf("a one-line change sent %d blobs, %d bytes", blobs, said)
	if blobs != 2 || said > 64<<10 {
		t.Errorf("a one-line change sent %d blobs and says %d bytes; want one layer and the config", blobs, said)
	}
	before := status(t, h, dir, app)
	r, blobs = push()
	after := status(t, h, dir, app)
	if blobs != 0 || strings.Contains(r.Stderr, "Push to") || !strings.Contains(r.Stderr, "nothing to do") || before.Hash != after.Hash || len(after.Releases) != 2 {
		t.Errorf("an unchanged push sent %d blobs:\n%s", blobs, r.Stderr)
	}
	pulled := func() string { return docker(t, "images", "--no-trunc", "--digests", "--quiet", repository) }
	images := pulled()
	if failed := h.Push(t, testkit.CopyApp(t, "sick"), "--app", app, "--registry", repository); failed.Exit != 24 {
		t.Errorf("a sick app: exit %d, want 24\n%s", failed.Exit, failed.Stderr)
	}
	if state := status(t, h, dir, app); state.Hash != after.Hash || pulled() != images {
		t.Errorf("a sick app left something:\n%+v\nimages %s, before %s", state, pulled(), images)
	}
	answers(t, h, app, "/", "Hello again")
}

// TestRegistryManifest: image { registry } does what --registry does.
func TestRegistryManifest(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	repository := registry.Addr + "/team/app"
	forgetPulled(t, repository)
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "registry")
	text := fmt.Sprintf("app = %q\nimage {\n  registry = %q\n}\n", app, repository)
	if err := os.WriteFile(filepath.Join(dir, "dokku.hcl"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	pushed(t, h.Push(t, dir))
	answers(t, h, app, "/", "Hello")
	if sent := registry.Requests("PUT", "/team/app/blobs/uploads/"); sent != 3 {
		t.Errorf("%d blobs went to the registry, want 3", sent)
	}
}

// forgetPulled removes what an engine has pulled from a repository.
func forgetPulled(t *testing.T, repository string) {
	t.Cleanup(func() {
		for _, ref := range strings.Fields(docker(t, "images", "--digests", "--format", "{{.Repository}}@{{.Digest}}", repository)) {
			_ = exec.Command("docker", "rmi", ref).Run() // it may be gone with the app's tags
		}
	})
}

// clientHome is the HOME of a host's clients.
func clientHome(h *testkit.Host) string { return filepath.Join(filepath.Dir(h.Root), "client-home") }

// homeFile writes a file into the HOME of a host's clients.
func homeFile(t *testing.T, h *testkit.Host, name string, text []byte) {
	t.Helper()
	file := filepath.Join(clientHome(h), name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// login writes a Docker config.json with a user and a password.
func login(t *testing.T, h *testkit.Host, registry, user, password string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"auths": map[string]any{registry: map[string]any{"auth": []byte(user + ":" + password)}}})
	if err != nil {
		t.Fatal(err)
	}
	homeFile(t, h, ".docker/config.json", text)
}

const registryPassword = "s3cret-that-stays-here"

// helper is a Docker credential helper: it logs what it is asked and answers `get`.
const helper = `#!/bin/sh
read -r server
echo "$1 $server" >> "$HELPER_LOG"
printf '{"ServerURL":"%s","Username":"ada","Secret":"` + registryPassword + `"}\n' "$server"
`

// TestRegistryPassword: basic auth behind TLS of an own CA. The credentials come from
// Docker's config or a helper, serve one deploy and are kept nowhere.
func TestRegistryPassword(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{TLS: true, User: "ada", Password: registryPassword})
	repository := registry.Addr + "/team/app"
	forgetPulled(t, repository)
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "registry")
	push := func(env ...string) testkit.Result {
		t.Helper()
		cmd := h.Command(t, dir, "--app", app, "--registry", repository)
		cmd.Env = append(cmd.Env, env...)
		return testkit.Run(t, cmd)
	}
	seen := watchArguments(t)
	login(t, h, registry.Addr, "ada", registryPassword)
	if r := push(); r.Exit != 21 || !strings.Contains(r.Stderr, "certs.d") {
		t.Errorf("a CA that nobody trusts: exit %d, want 21 and where the certificate goes\n%s", r.Exit, r.Stderr)
	}
	r := pushed(t, push("SSL_CERT_FILE="+registry.CAFile))
	answers(t, h, app, "/", "Hello")
	story := r.Stdout + r.Stderr

	ca, err := os.ReadFile(registry.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	homeFile(t, h, ".docker/certs.d/"+registry.Addr+"/ca.crt", ca)
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	homeFile(t, h, ".docker/config.json", []byte(`{"credHelpers": {"`+registry.Addr+`": "e2e"}}`))
	bin, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-e2e"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	r = pushed(t, push("PATH="+bin+":"+os.Getenv("PATH"), "HELPER_LOG="+log))
	answers(t, h, app, "/", "Hello again")
	story += r.Stdout + r.Stderr
	if asked, _ := os.ReadFile(log); !bytes.Contains(asked, []byte("get "+registry.Addr)) {
		t.Errorf("the credential helper was asked %q", asked)
	}

	before := status(t, h, dir, app)
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello again", "Hello a third time")
	for name, password := range map[string]string{"wrong": "wrong-" + registryPassword[:3], "none": ""} {
		homeFile(t, h, ".docker/config.json", []byte("{}"))
		if password != "" {
			login(t, h, registry.Addr, "ada", password)
		}
		r := push()
		if r.Exit != 77 || !strings.Contains(r.Stderr, "docker login "+registry.Addr) {
			t.Errorf("%s password: exit %d, want 77 and a hint\n%s", name, r.Exit, r.Stderr)
		}
		if after := status(t, h, dir, app); before.Hash != after.Hash {
			t.Errorf("%s password: the state is not as before", name)
		}
	}
	answers(t, h, app, "/", "Hello again")
	nowhere(t, map[string]string{"what the push said": story, "what the agent said": h.Log(), "the arguments and variables of programs": seen(),
		"docker inspect of the container": docker(t, "inspect", app+".web.1"),
		"docker inspect of the image":     docker(t, "inspect", "dokku/"+app+":latest")})
	noFile(t, h.Root)
}

// forms are the ways in which a password could be kept: as it is, and as base64 in the
// three positions it may have in a longer text.
func forms() (list []string) {
	list = []string{registryPassword, base64.StdEncoding.EncodeToString([]byte("ada:" + registryPassword))}
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + registryPassword))
		list = append(list, text[4:len(text)-4]) // the ends depend on their neighbours
	}
	return list
}

func nowhere(t *testing.T, places map[string]string) {
	t.Helper()
	for place, text := range places {
		for _, form := range forms() {
			if strings.Contains(text, form) {
				t.Errorf("the password stands in %s (as %q)", place, form)
			}
		}
	}
}

// noFile looks for the password in every file of a folder.
func noFile(t *testing.T, root string) {
	t.Helper()
	count := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !entry.Type().IsRegular() {
			return nil // what is retired may go while this looks
		} else if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		count++
		nowhere(t, map[string]string{path: string(text)})
		return nil
	})
	if err != nil || count == 0 {
		t.Errorf("%d files were read: %v", count, err)
	}
}

// watchArguments collects the command lines and environments of all processes until
// seen is called.
func watchArguments(t *testing.T) (seen func() string) {
	t.Helper()
	watched := watchProcesses(t, "cmdline", "environ")
	return func() string {
		var text strings.Builder
		agents := 0
		for _, line := range watched() {
			if program, _, _ := strings.Cut(line, "\x00"); strings.HasSuffix(program, "dokku-agent") {
				agents++
			}
			fmt.Fprintln(&text, line)
		}
		if agents < 2 {
			t.Errorf("only %d command lines of agents were seen: the deploys were missed", agents)
		}
		return text.String()
	}
}
