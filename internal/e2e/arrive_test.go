package e2e

import (
	"archive/tar"
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// piped gives a command of Dokku what a program prints, as a pipe in a shell does.
func piped(t *testing.T, h *testkit.Host, program []string, args ...string) testkit.Result {
	t.Helper()
	var out bytes.Buffer
	from := exec.Command(program[0], program[1:]...)
	from.Stdout = &out
	if err := from.Run(); err != nil {
		t.Fatalf("%q: %v", program, err)
	}
	cmd := h.DokkuCommand(t, args...)
	cmd.Stdin = &out
	return testkit.Run(t, cmd)
}

func done(t *testing.T, result testkit.Result) testkit.Result {
	t.Helper()
	if result.Exit != 0 {
		t.Fatalf("exit %d\n%s%s", result.Exit, result.Stdout, result.Stderr)
	}
	return result
}

// unchanged is Dokku's answer to what is there already.
func unchanged(t *testing.T, result testkit.Result) {
	t.Helper()
	if result.Exit != 1 || !strings.Contains(result.Stderr, "No changes detected, skipping git commit\n") || !strings.Contains(result.Stderr, "Call 'ps:rebuild' on ") {
		t.Errorf("exit %d, want 1\n%s%s", result.Exit, result.Stdout, result.Stderr)
	}
}

// served is a web server that this machine's other addresses lead to.
func served(t *testing.T, files http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", strings.TrimSpace(docker(t, "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"))+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: files}}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// TestArchives: a source tree that comes as an archive, over ssh or from a web server, is
// built and deployed as one that was pushed, and built again by ps:rebuild. One that is
// hostile changes nothing.
func TestArchives(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"PATH=" + filepath.Dir(testkit.Binaries(t).Client) + ":" + os.Getenv("PATH")}})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hello")
	if r := piped(t, h, []string{"tar", "c", "-C", dir, "."}, "tar:in", app); r.Exit != 20 || !strings.Contains(r.Stderr, "does not exist") {
		t.Errorf("an archive for no app: exit %d, %s", r.Exit, r.Stderr)
	}
	dokku(t, h, 0, "apps:create", app)
	if said := done(t, piped(t, h, []string{"tar", "c", "-C", dir, "."}, "tar:in", app)); !strings.Contains(said.Stdout, "=====> Application deployed:\n") {
		t.Errorf("tar:in says\n%s", said.Stdout)
	}
	answers(t, h, app, "/", "Hello, world")
	unchanged(t, piped(t, h, []string{"tar", "cz", "-C", filepath.Dir(dir), filepath.Base(dir)}, "tar:in", app))

	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello, world", "Hello, archive")
	files := t.TempDir()
	if out, err := exec.Command("tar", "czf", filepath.Join(files, "app.tar.gz"), "-C", filepath.Dir(dir), filepath.Base(dir)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	web := served(t, http.FileServer(http.Dir(files)))
	done(t, h.Dokku(t, "git:from-archive", "--archive-type", "tar.gz", app, web+"/app.tar.gz?token=s3cret", "Ada", "ada@example.com"))
	answers(t, h, app, "/", "Hello, archive")
	releases := status(t, h, dir, app).Releases
	if last := releases[len(releases)-1]; last.Source.Author != "Ada <ada@example.com>" || last.Kind != "deploy" {
		t.Errorf("%+v", last)
	}
	if report := dokku(t, h, 0, "apps:report", app).Stdout; !strings.Contains(report, web+"/app.tar.gz\n") || strings.Contains(report, "s3cret") {
		t.Errorf("apps:report says\n%s", report)
	}
	if said := dokku(t, h, 0, "ps:rebuild", app).Stdout; !strings.Contains(said, "-----> Building "+app+" from "+releases[len(releases)-1].Source.Revision[:10]) {
		t.Errorf("ps:rebuild builds nothing:\n%s", said)
	}

	before := status(t, h, dir, app).Hash
	var hostile bytes.Buffer
	w := tar.NewWriter(&hostile)
	if err := w.WriteHeader(&tar.Header{Name: "../../canary", Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for why, result := range map[string]testkit.Result{
		"no name of a app's file": with(t, h, hostile.String(), "git:from-archive", app, "--"),
		"this host's own":         h.Dokku(t, "tar:from", app, strings.Replace(web, strings.Split(web, ":")[1], "//127.0.0.1", 1)+"/app.tar.gz"),
		"only https and http":     h.Dokku(t, "tar:from", app, "file:///etc/passwd"),
		"the answer is 404":       h.Dokku(t, "tar:from", app, web+"/nothing.tar"),
	} {
		if result.Exit != 1 || !strings.Contains(result.Stderr, why) {
			t.Errorf("exit %d, want %q\n%s", result.Exit, why, result.Stderr)
		}
	}
	if after := status(t, h, dir, app).Hash; after != before {
		t.Errorf("what was refused has changed the host")
	}
}

// TestImages: what docker save writes and what a registry has are deployed by their digests;
// the release says by which name, and a tag of it is deployed again.
func TestImages(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	registry := testkit.Registry(t, testkit.RegistryOptions{})
	app, empty := h.App(t, "image"), t.TempDir()
	dokku(t, h, 0, "apps:create", app)
	name := registry.Addr + "/team/" + app + ":1"
	foreignImage(t, app, name)
	id := docker(t, "inspect", "--format", "{{.Id}}", name)
	said := done(t, piped(t, h, []string{"docker", "save", name}, "git:load-image", app, name, "Ada", "ada@example.com"))
	if !strings.Contains(said.Stdout, "-----> Loading image\n") || !strings.Contains(said.Stdout, "=====> Application deployed:\n") {
		t.Errorf("git:load-image says\n%s", said.Stdout)
	}
	answers(t, h, app, "/", "Hello out of the image")
	unchanged(t, piped(t, h, []string{"docker", "save", name}, "git:load-image", app, name))
	unchanged(t, h.Dokku(t, "git:from-image", app, name))
	dokku(t, h, 0, "tags:create", app, "first")

	docker(t, "push", name)
	second := registry.Addr + "/team/" + app + ":2"
	container := docker(t, "create", name)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", container).Run() })
	page := filepath.Join(empty, "index.html")
	if err := os.WriteFile(page, []byte("Hello out of the registry\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	docker(t, "cp", page, container+":/srv/index.html")
	docker(t, "commit", container, second)
	docker(t, "push", second)
	docker(t, "rmi", second)
	said = done(t, h.Dokku(t, "git:from-image", app, second))
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", second).Run() })
	if !strings.Contains(said.Stdout, "Pulling image "+second) {
		t.Errorf("git:from-image says\n%s", said.Stdout)
	}
	answers(t, h, app, "/", "Hello out of the registry")
	unchanged(t, h.Dokku(t, "git:from-image", "--force", app, second))
	if r := h.Dokku(t, "git:from-image", app, registry.Addr+"/team/nothing:1"); r.Exit != 1 || !strings.Contains(r.Stderr, "registry:login") {
		t.Errorf("an image that is not there: exit %d\n%s", r.Exit, r.Stderr)
	}

	dokku(t, h, 0, "tags:deploy", app, "first")
	answers(t, h, app, "/", "Hello out of the image")
	now := status(t, h, empty, app)
	var names []string
	for _, release := range now.Releases {
		names = append(names, release.Image)
	}
	if want := []string{name, second, "dokku/" + app + ":first"}; !slices.Equal(names, want) || now.Releases[0].Run != id || now.Releases[2].Run != id || now.Releases[0].Source.Author != "Ada <ada@example.com>" {
		t.Errorf("released %q, want %q: %+v", names, want, now.Releases)
	}
	list := testkit.Run(t, h.Command(t, empty, "releases", "--app", app))
	if !strings.Contains(list.Stdout, "tag "+second) {
		t.Errorf("releases says\n%s", list.Stdout)
	}
	dokku(t, h, 0, "ps:rebuild", app)
	if all := status(t, h, empty, app).Releases; all[len(all)-1].Run != id {
		t.Errorf("ps:rebuild runs another image: %+v", all[len(all)-1])
	}
}
