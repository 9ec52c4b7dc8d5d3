package e2e

import (
	"archive/tar"
	"bytes"
	"fmt"
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
	return pipe(t, exec.Command(program[0], program[1:]...), h.DokkuCommand(t, args...))
}

// pipe runs both programs at once, the second with what the first prints.
func pipe(t *testing.T, from, to *exec.Cmd) testkit.Result {
	t.Helper()
	out, err := from.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	to.Stdin = out
	if err := from.Start(); err != nil {
		t.Fatalf("%q: %v", from.Args, err)
	}
	result := testkit.Run(t, to)
	_ = out.Close() // or who prints waits for a reader that is gone
	if err := from.Wait(); err != nil && result.Exit == 0 {
		t.Fatalf("%q: %v", from.Args, err)
	}
	return result
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
	prints(t, h, "tar.gz\n", "apps:report", app, "--app-deploy-source")

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

// pushOnly makes an image of another one, with another page, that only the registry has.
func pushOnly(t *testing.T, from, name, text string) {
	t.Helper()
	container := docker(t, "create", from)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", container).Run() })
	page := filepath.Join(t.TempDir(), "index.html")
	put(t, page, text+"\n")
	docker(t, "cp", page, container+":/srv/index.html")
	docker(t, "commit", container, name)
	docker(t, "push", name)
	docker(t, "rmi", name)
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
	pushOnly(t, name, second, "Hello out of the registry")
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

// arriveBySSHD brings an app in each of the ways but git push and dokku-push through Debian's
// sshd and the forced command, each with the program that people use for it.
func arriveBySSHD(t *testing.T, bin testkit.Bin, sshd *testkit.SSHServer, key testkit.Key, port int) {
	ssh := func(words ...string) *exec.Cmd { return sshCommand(t, sshd, key, nil, words...) }
	app := testkit.AppName(t, "arrives")
	testkit.ForgetImages(t, app)
	done(t, testkit.Run(t, ssh("apps:create", app)))
	t.Cleanup(func() { done(t, testkit.Run(t, ssh("apps:destroy", "--force", app))) })
	says := func(text string) {
		t.Helper()
		curl := exec.Command("curl", "--silent", "--show-error", "--header", "Host: "+app+".example.test", fmt.Sprintf("http://127.0.0.1:%d/", port))
		if answer := testkit.Run(t, curl); answer.Exit != 0 || !strings.Contains(answer.Stdout, text) {
			t.Errorf("the app answers %q, %s; want %q", answer.Stdout, answer.Stderr, text)
		}
	}
	c := pushing(t, testkit.CopyApp(t, "hello"), sshd.Addr, sshd.HostKey, key.File) // never pushed from
	done(t, pipe(t, exec.Command("tar", "c", "-C", c.dir, "--exclude=.git", "."), ssh("tar:in", app)))
	says("Hello, world")
	c.says("Hello, world", "Hello, zip")
	done(t, pipe(t, exec.Command("git", "-C", c.dir, "archive", "--format=zip", "HEAD"), ssh("git:from-archive", "--archive-type", "zip", app, "--")))
	says("Hello, zip")
	c.says("Hello, zip", "Hello, web")
	files := t.TempDir()
	c.git("archive", "--format=tar.gz", "--output="+filepath.Join(files, "app.tgz"), "HEAD")
	web := served(t, http.FileServer(http.Dir(files)))
	done(t, testkit.Run(t, ssh("git:from-archive", "--archive-type", "tar.gz", app, web+"/app.tgz")))
	says("Hello, web")
	unchanged(t, pipe(t, exec.Command("curl", "--silent", "--show-error", web+"/app.tgz"), ssh("tar:in", app)))
	if report := done(t, testkit.Run(t, ssh("apps:report", app, "--app-deploy-source"))); report.Stdout != "tar.gz\n" {
		t.Errorf("the source is %q", report.Stdout)
	}

	registry := testkit.Registry(t, testkit.RegistryOptions{})
	repository := registry.Addr + "/team/" + app
	foreignImage(t, app, repository+":1")
	done(t, pipe(t, exec.Command("docker", "save", repository+":1"), ssh("git:load-image", app, repository+":1")))
	says("Hello out of the image")
	pushOnly(t, repository+":1", repository+":2", "Hello out of the registry")
	done(t, testkit.Run(t, ssh("registry:set", app, "image-repo", repository)))
	done(t, testkit.Run(t, ssh("tags:deploy", app, "2")))
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", repository+":2", repository+":3").Run() })
	says("Hello out of the registry")
	pushOnly(t, repository+":1", repository+":3", "Hello by its name")
	done(t, testkit.Run(t, ssh("git:from-image", app, repository+":3")))
	says("Hello by its name")

	taken := t.TempDir()
	take := exec.Command(bin.Client, "import", "--app", app)
	take.Dir = taken
	take.Env = append(os.Environ(), "CI=", "DOKKU_HOST=dokku@"+sshd.Addr, "DOKKU_SSH_HOST_KEY="+sshd.HostKey, "DOKKU_SSH_KEY_FILE="+key.File)
	done(t, testkit.Run(t, take))
	text, err := os.ReadFile(filepath.Join(taken, "dokku.hcl"))
	for _, part := range []string{`app = "` + app + `"`, `address  = "dokku@` + sshd.Addr + `"`, "registry:set " + app + " image-repo " + repository} {
		if err != nil || !strings.Contains(string(text), part) {
			t.Errorf("import does not write %q: %v\n%s", part, err, text)
		}
	}
}
