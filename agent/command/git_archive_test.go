package command

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
)

// sources is a host whose builder notes what it is given and builds nothing.
type sources struct {
	host *agent.Host
	seen [][]string // the files of each build
	from []api.Source
}

var errBuilt = api.Errorf(api.BuildFailed, "build", "seen")

func (s *sources) Build(_ context.Context, source receive.Source, _ io.Writer) (api.ReleaseDocument, error) {
	s.seen, s.from = append(s.seen, filesOf(source.Dir)), append(s.from, source.From)
	return api.ReleaseDocument{}, errBuilt
}

// Trigger carries out the core's part in receive-app.
func (s *sources) Trigger(ctx context.Context, name string, args []string, streams agent.Streams) error {
	if name != "receive-app" {
		return nil
	}
	return ReceiveApp(ctx, &Call{Host: s.host, Builder: s, Out: streams.Out, Err: streams.Err}, args[0], args[1])
}

func (s *sources) Ships(string) []string { return nil }
func (s *sources) Has(string) bool       { return false }

// filesOf are the files below a folder.
func filesOf(dir string) (names []string) {
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return nil
	})
	return names
}

func sourcesHost(t *testing.T) *sources {
	t.Helper()
	h, _ := newHost(t)
	s := &sources{host: h}
	h.Walk = s
	return s
}

// sourceTar has these files, in this order.
func sourceTar(t *testing.T, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range names {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 1, Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte("x"))
		must(t, err)
	}
	must(t, w.Close())
	return out.Bytes()
}

// TestArchivesArrive: every way and every kind leads the same files to the build, without
// the one folder that forges pack them in and without a repository.
func TestArchivesArrive(t *testing.T) {
	s := sourcesHost(t)
	names := []string{"Procfile", "bin/run"}
	var zipped, packed bytes.Buffer
	z := zip.NewWriter(&zipped)
	for _, name := range names {
		_, err := z.Create("shop-1.2/" + name)
		must(t, err)
	}
	must(t, z.Close())
	g := gzip.NewWriter(&packed)
	_, err := g.Write(sourceTar(t, "./Procfile", "./bin/run", "./.git/config"))
	must(t, err)
	must(t, g.Close())
	plain := sourceTar(t, "shop/Procfile", "shop/bin/run")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(map[string][]byte{"/plain": plain, "/packed": packed.Bytes(), "/zip": zipped.Bytes()}[r.URL.Path])
	}))
	t.Cleanup(web.Close)
	for _, test := range []struct {
		line string
		in   []byte
	}{
		{"tar:in shop", plain}, {"tar:in shop", packed.Bytes()}, {"git:from-archive shop --", plain}, {"git:from-archive --archive-type zip shop -- Ada ada@example.com", zipped.Bytes()},
		{"git:from-archive --archive-type tar.gz shop --", packed.Bytes()},
		{"git:from-archive shop --", packed.Bytes()}, {"tar:from shop " + web.URL + "/packed", nil}, {"git:from-archive shop " + web.URL + "/plain?token=s3cret", nil}, {"git:from-archive --archive-type zip shop " + web.URL + "/zip", nil},
	} {
		s.seen = nil
		out, problem, err := do(t, Call{Host: s.host, Builder: s, In: bytes.NewReader(test.in)}, test.line)
		if api.AsError(err).Code != api.BuildFailed || len(s.seen) != 1 || !slices.Equal(s.seen[0], names) {
			t.Errorf("%s: %v, %q", test.line, err, s.seen)
		}
		if strings.Contains(out+problem, "s3cret") {
			t.Errorf("%s shows a secret: %s%s", test.line, out, problem)
		}
		author := "Dokku <automated@dokku.sh>"
		if strings.Contains(test.line, "Ada") {
			author = "Ada <ada@example.com>"
		}
		if last := s.from[len(s.from)-1]; last.Author != author || last.Revision == "" {
			t.Errorf("%s: %+v", test.line, last)
		}
		if left, err := filepath.Glob(filepath.Join(s.host.Places.AppData("shop"), "archive-*")); err != nil || len(left) > 0 {
			t.Errorf("%s leaves %q, %v", test.line, left, err)
		}
	}
}

// TestArchivesRefused: what is no archive of an app reaches no build and leaves no trace.
func TestArchivesRefused(t *testing.T) {
	s := sourcesHost(t)
	places := s.host.Places
	set(t, s.host, "shop", func(now *agent.Settings) { delete(now.Properties, "apps/locked") }) // the settings' lock is made
	before := append(filesOf(places.Root), filesOf(places.Lib)...)
	for _, test := range []struct {
		line, in string
		code     api.Code
		message  string
	}{
		{"tar:in", "", api.Usage, "Please specify an app"},
		{"tar:in shop more", "", api.Usage, "unexpected argument"},
		{"tar:in nothing", "x", api.NotFound, "does not exist"},
		{"tar:in shop", "", api.Refused, "nothing came"},
		{"tar:in shop", strings.Repeat("no archive ", 200), api.Refused, "it is broken"},
		{"tar:in shop", string(sourceTar(t, "/etc/canary")), api.Refused, "no name of a app's file"},
		{"tar:in shop", string(sourceTar(t, "a", "../canary")), api.Refused, "no name of a app's file"},
		{"tar:in shop", string(sourceTar(t, "a", "b")[:700]), api.Refused, "it is broken"},
		{"tar:from shop", "", api.Usage, "Please specify the url"},
		{"tar:from shop file:///etc/passwd", "", api.Usage, "only https and http"},
		{"tar:from shop https://me:s3cret@example.com/x", "", api.Usage, "a name or a password"},
		{"git:from-archive shop", "", api.Usage, "Please specify an archive url"},
		{"git:from-archive --archive-type rar shop --", "", api.Usage, "Invalid archive type"},
		{"git:from-archive --archive-type '' shop --", "", api.Usage, "Invalid archive type"},
		{"git:from-archive shop -x", "", api.Usage, "only https and http"},
		{"git:from-archive shop -- a b c", "", api.Usage, "too many arguments"},
		{"git:from-archive shop -- 'a\nb'", "", api.Usage, "is no name"},
		{"git:from-archive --archive-type zip shop --", string(sourceTar(t, "a")), api.Refused, "this is no .zip"},
		{"git:from-archive --archive-type tar.gz shop --", string(sourceTar(t, "a")), api.Refused, "this is no .tar.gz"},
	} {
		_, _, err := do(t, Call{Host: s.host, Builder: s, In: strings.NewReader(test.in)}, test.line)
		if problem := api.AsError(err); err == nil || problem.Code != test.code || !strings.Contains(problem.Error(), test.message) || strings.Contains(problem.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s %q", test.line, err, test.code, test.message)
		}
	}
	far := agent.Caller{Name: "alice", Fingerprint: "SHA256:x"}
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	if _, _, err := do(t, Call{Host: s.host, Builder: s, By: far}, "tar:from shop "+web.URL+"/x"); err == nil || !strings.Contains(err.Error(), "this host's own") {
		t.Errorf("from afar: %v", err)
	}
	set(t, s.host, "shop", func(now *agent.Settings) { now.Properties["apps/locked"] = "true" })
	unread := strings.NewReader("unread")
	if _, _, err := do(t, Call{Host: s.host, Builder: s, In: unread}, "tar:in shop"); err == nil || api.AsError(err).Code != api.Locked || unread.Len() != 6 {
		t.Errorf("an app that is locked: %v", err)
	}
	set(t, s.host, "shop", func(now *agent.Settings) { delete(now.Properties, "apps/locked") })
	after := append(filesOf(places.Root), filesOf(places.Lib)...)
	if len(s.seen) > 0 || !slices.Equal(before, after) {
		t.Errorf("built %q\nbefore %q\nafter  %q", s.seen, before, after)
	}
}
