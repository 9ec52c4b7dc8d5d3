package push

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/dokku-push/dokku-push/api"
)

// TestPushByRegistry: with a registry nothing is sent to the agent; it is told where to
// pull from, and what to say there, and nobody else is told.
func TestPushByRegistry(t *testing.T) {
	agent := newAgent(t)
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "robot" || password != "password-canary" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	config := t.TempDir()
	login := `{"auths": {"` + host + `": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("robot:password-canary")) + `"}}}`
	if err := os.WriteFile(filepath.Join(config, "config.json"), []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", config)

	o, events, image := agent.shop(t, nil)
	o.Registry = host + "/team/shop"
	if verdict, err := Push(t.Context(), o); err != nil || !verdict.OK {
		t.Fatalf("verdict %+v, %v", verdict, err)
	}
	digest, _ := image.Digest()
	id, _ := image.ConfigName()
	want := api.ReleaseRequest{RegistryAuth: &api.RegistryAuth{Username: "robot", Password: "password-canary"},
		Document: api.ReleaseDocument{Image: api.Image{ID: id.String(), Manifest: digest.String(), Registry: host + "/team/shop"}, Builder: "image"}}
	if diff := cmp.Diff([]api.ReleaseRequest{want}, agent.released); diff != "" || agent.uploads != 0 {
		t.Errorf("%d uploads; the release (-want +got):\n%s", agent.uploads, diff)
	}
	told, err := json.Marshal(events.events)
	if err != nil || strings.Contains(string(told), "canary") {
		t.Errorf("the events tell the password (%v): %s", err, told)
	}

	// A verdict that asks for layers is the outcome here: nothing of ours can be sent again.
	agent.answers = []answer{{events: []api.Event{verdict(api.Verdict{Error: &api.Error{Code: api.BlobsMissing, Message: "gone", Missing: []string{digest.String()}}})}}}
	before := len(agent.ids)
	if result, err := Push(t.Context(), o); err != nil || result.OK || len(agent.ids) != before+1 || agent.uploads != 0 {
		t.Errorf("a pull that fails: %+v, %v, %d requests", result, err, len(agent.ids)-before)
	}
	if story := events.story(); story[len(story)-1] != "verdict" {
		t.Errorf("it ends without a verdict: %q", story)
	}

	if err := os.Remove(filepath.Join(config, "config.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), o); api.Exit(err) != 77 || !strings.Contains(api.AsError(err).Hint, "docker login "+host) {
		t.Errorf("without a login: %v", err)
	}
}
