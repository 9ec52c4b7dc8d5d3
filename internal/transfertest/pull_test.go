package transfertest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
)

const pullApp = "dkp-store-app"

// engine is the local Docker Engine, spoken to without a client library.
type engine struct{ http.Client }

func newEngine() *engine {
	return &engine{http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", "/var/run/docker.sock")
	}}}}
}

// pull pulls a reference and returns what the engine complains about.
func (e *engine) pull(t *testing.T, ref string, auth api.RegistryAuth) string {
	t.Helper()
	words, err := json.Marshal(map[string]string{"username": auth.Username, "password": auth.Password})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "http://docker/images/create?fromImage="+url.QueryEscape(ref), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Registry-Auth", base64.URLEncoding.EncodeToString(words))
	response, err := e.Do(r)
	if err != nil {
		t.Fatalf("a Docker Engine is needed: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return string(text)
	}
	if _, after, failed := strings.Cut(string(text), `"error":`); failed {
		return after
	}
	return ""
}

// remove forgets an image; one that is gone is fine.
func (e *engine) remove(t *testing.T, id string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodDelete, "http://docker/images/"+id+"?force=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := e.Do(r); err == nil {
		response.Body.Close()
	}
}

func (e *engine) has(t *testing.T, id string) bool {
	t.Helper()
	response, err := e.Get("http://docker/images/" + id + "/json")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func idOf(t *testing.T, img v1.Image) string {
	t.Helper()
	h, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// offer listens, pulls and closes.
func offer(t *testing.T, e *engine, s *store.Store, manifest string, change func(*api.RegistryAuth)) (string, agent.Pull) {
	t.Helper()
	p, err := s.Listen(context.Background(), pullApp)
	if err != nil {
		t.Fatal(err)
	}
	auth := p.Auth()
	if change != nil {
		change(&auth)
	}
	problem := e.pull(t, p.Ref(manifest), auth)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return problem, p
}

func TestEnginePulls(t *testing.T) {
	ctx, e := context.Background(), newEngine()
	s := &store.Store{Dir: t.TempDir()}
	server := serve(t, s, pullApp, nil)
	tr := transfer(t, server)
	base, mid := busybox(t), noise(t, 21, 50_000)
	v1Image, v2Image := image(t, base, mid), image(t, base, mid, noise(t, 22, 60_000), noise(t, 23, 70_000))
	t.Cleanup(func() { e.remove(t, idOf(t, v1Image)); e.remove(t, idOf(t, v2Image)) })

	sent, err := tr.Send(ctx, pullApp, v1Image)
	if err != nil {
		t.Fatal(err)
	}
	if problem, _ := offer(t, e, s, sent.Manifest, func(a *api.RegistryAuth) { a.Password += "x" }); problem == "" || e.has(t, idOf(t, v1Image)) {
		t.Fatalf("the wrong password: %q", problem)
	}
	if problem, p := offer(t, e, s, sent.Manifest, nil); problem != "" || len(p.Missing()) != 0 {
		t.Fatalf("pull: %s, missing %v", problem, p.Missing())
	}
	if id, err := s.Image(pullApp, sent.Manifest); err != nil || id != idOf(t, v1Image) || !e.has(t, id) {
		t.Fatalf("image %s: %v", id, err)
	}
	if err := s.Drop(pullApp, sent.Manifest); err != nil {
		t.Fatal(err)
	}

	onlyNewLayers(t, e, s, server, v2Image)
	missingLayers(t, e, s, server, v1Image, v2Image)
}

// onlyNewLayers sends and pulls an image of whose layers the engine has two.
func onlyNewLayers(t *testing.T, e *engine, s *store.Store, server *httptest.Server, img v1.Image) {
	t.Helper()
	known, err := s.Layers(pullApp)
	if err != nil || len(known) != 2 {
		t.Fatalf("layers: %v, %v", known, err)
	}
	s.Has = func(_ context.Context, _, layer string) bool {
		return slices.ContainsFunc(known, func(l store.Layer) bool { return l.Digest == layer })
	}
	sent, err := transfer(t, server).Send(context.Background(), pullApp, img)
	if err != nil || sent.Layers != 2 || sent.Skipped != 2 || sent.Bytes > 140_000 {
		t.Fatalf("%+v, %v", sent, err)
	}
	if problem, p := offer(t, e, s, sent.Manifest, nil); problem != "" || len(p.Missing()) != 0 {
		t.Fatalf("pull: %s, missing %v", problem, p.Missing())
	}
	if err := s.Drop(pullApp, sent.Manifest); err != nil {
		t.Fatal(err)
	}
}

// missingLayers removes the images behind the store's back: the engine asks for
// what is nowhere any more, the client sends just that, the next pull works.
func missingLayers(t *testing.T, e *engine, s *store.Store, server *httptest.Server, old, img v1.Image) {
	t.Helper()
	e.remove(t, idOf(t, old))
	e.remove(t, idOf(t, img))
	manifest := digestOf(t, img)
	problem, p := offer(t, e, s, manifest, nil)
	if problem == "" || e.has(t, idOf(t, img)) {
		t.Fatal("the layers are gone")
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, l := range layers {
		want = append(want, digestOf(t, l))
	}
	got := p.Missing()
	slices.Sort(want)
	slices.Sort(got)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("missing %v, want %v", got, want)
	}
	if sent, err := transfer(t, server).SendBlobs(context.Background(), pullApp, img, got); err != nil || sent.Layers != 4 {
		t.Fatalf("%+v, %v", sent, err)
	}
	if problem, _ := offer(t, e, s, manifest, nil); problem != "" || !e.has(t, idOf(t, img)) {
		t.Fatalf("pull: %s", problem)
	}
}

func TestListenTellsStrangersNothing(t *testing.T) {
	s := &store.Store{Dir: t.TempDir()}
	server := serve(t, s, pullApp, nil)
	img := image(t, noise(t, 24, 1000))
	if _, err := transfer(t, server).Send(context.Background(), pullApp, img); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, err := s.Listen(ctx, pullApp)
	if err != nil {
		t.Fatal(err)
	}
	at, _, _ := strings.Cut(p.Ref(digestOf(t, img)), "/")
	for _, path := range []string{"/v2/", "/v2/" + pullApp + "/manifests/" + digestOf(t, img), "/v2/" + pullApp + "/blobs/" + idOf(t, img), "/x"} {
		r := request(t, http.MethodGet, "http://"+at+path, nil, nil)
		if r.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.Auth().Username+":"+p.Auth().Password))
	for path, want := range map[string]int{
		"GET /v2/":                            200,
		"POST /v2/":                           405,
		"GET /v2/other/blobs/" + idOf(t, img): 404,
		"GET /v2/" + pullApp + "/blobs/" + idOf(t, img): 200,
		"POST /v2/" + pullApp + "/blobs/uploads/":       405,
		"GET /v2/" + pullApp + "/blobs/../x":            404,
	} {
		method, place, _ := strings.Cut(path, " ")
		if r := request(t, method, "http://"+at+place, nil, map[string]string{"Authorization": basic}); r.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, r.Status, want)
		}
	}
	cancel()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", at); err == nil {
		c.Close()
		t.Error("it listens after Close")
	}
}
