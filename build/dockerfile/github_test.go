package dockerfile

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// actions is GitHub's cache as a job sees it: the second version of its API, and the blob
// store that this names for each entry.
type actions struct {
	*httptest.Server
	token string

	mu      sync.Mutex
	blocks  map[string][]byte // by key and block, until they are listed
	blobs   map[string][]byte // by key
	entries []string          // keys, the oldest first
	refused int               // requests without the token
	broken  bool              // it answers with errors alone
}

func newActions(t *testing.T) *actions {
	t.Helper()
	now := time.Now().Unix()
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	claims := fmt.Sprintf(`{"ac":"[{\"Scope\":\"refs/heads/main\",\"Permission\":3}]","exp":%d,"nbf":%d}`, now+3600, now-60)
	a := &actions{blocks: map[string][]byte{}, blobs: map[string][]byte{},
		token: part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(claims) + "." + part("signature of "+t.Name())}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /twirp/github.actions.results.api.v1.CacheService/{call}", a.call)
	mux.HandleFunc("/blobs/{key}", a.blob)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// getenv is the environment of a job.
func (a *actions) getenv(name string) (string, bool) {
	value, ok := map[string]string{"ACTIONS_RUNTIME_TOKEN": a.token, "ACTIONS_RESULTS_URL": a.URL + "/", "ACTIONS_CACHE_SERVICE_V2": "True"}[name]
	return value, ok
}

func (a *actions) call(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var asked struct {
		Key, Version string
		RestoreKeys  []string `json:"restore_keys"`
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+a.token:
		a.refused++
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	case a.broken:
		http.Error(w, "out of order", http.StatusBadRequest)
		return
	case json.NewDecoder(r.Body).Decode(&asked) != nil:
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	address := func(key string) string {
		return a.URL + "/blobs/" + base64.RawURLEncoding.EncodeToString([]byte(key)) + "?sig=x"
	}
	answer := map[string]any{"ok": false}
	switch r.PathValue("call") {
	case "CreateCacheEntry":
		if !slices.Contains(a.entries, asked.Key) {
			answer = map[string]any{"ok": true, "signed_upload_url": address(asked.Key)}
		}
	case "FinalizeCacheEntryUpload":
		a.entries = append(a.entries, asked.Key)
		answer = map[string]any{"ok": true, "entry_id": fmt.Sprint(len(a.entries))}
	case "GetCacheEntryDownloadURL":
		for _, entry := range slices.Backward(a.entries) {
			if slices.ContainsFunc(asked.RestoreKeys, func(key string) bool { return strings.HasPrefix(entry, key) }) {
				answer = map[string]any{"ok": true, "signed_download_url": address(entry), "matched_key": entry}
				break
			}
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (a *actions) blob(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := r.PathValue("key")
	w.Header().Set("X-Ms-Request-Id", "1")
	if r.Method != http.MethodPut {
		if said := r.Header.Get("X-Ms-Range"); said != "" {
			r.Header.Set("Range", said)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(a.blobs[key])))
		return
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Query().Get("comp") {
	case "block":
		a.blocks[key+" "+r.URL.Query().Get("blockid")] = content
	case "blocklist":
		var list struct {
			Latest []string `xml:"Latest"`
		}
		if err := xml.Unmarshal(content, &list); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.blobs[key] = nil
		for _, block := range list.Latest {
			a.blobs[key] = append(a.blobs[key], a.blocks[key+" "+block]...)
		}
	default:
		a.blobs[key] = content
	}
	w.WriteHeader(http.StatusCreated)
}

func (a *actions) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.entries)
}

// TestGitHubCache: a job of GitHub Actions writes its cache with nothing said, and the next
// job, with a BuildKit that knows nothing, reads it. A cache out of order fails no build.
func TestGitHubCache(t *testing.T) {
	b := newBench(t, map[string]string{"a.txt": "a"})
	host, _ := newRegistry(t, b)
	b.write("Dockerfile", "FROM "+host+"/base AS made\nRUN echo slow > /made\nFROM "+host+"/base\nCOPY --from=made /made /made\nCOPY a.txt /a\n")
	github := newActions(t)
	b.getenv, b.daemon = github.getenv, startDaemon(t)
	first := b.build()
	if github.count() == 0 || github.refused > 0 {
		t.Fatalf("%d entries, %d times without the token\n%s", github.count(), github.refused, strings.Join(b.lines, "\n"))
	}
	if b.printed(github.token) {
		t.Error("the token was printed")
	}
	clean(t, first, github.token)
	b.daemon = startDaemon(t)
	b.write("a.txt", "changed")
	if b.build(); !b.cached("RUN echo slow") {
		t.Errorf("the next job built all of it again:\n%s", strings.Join(b.lines, "\n"))
	}
	github.broken = true
	b.write("a.txt", "changed again")
	b.build()
	github.broken = false
	b.getenv = nil
	b.request.App.Build.Cache = manifest.BuildCache{From: []string{"type=gha"}}
	if _, err := b.try(); api.AsError(err) == nil || api.AsError(err).Code != api.Configuration || !strings.Contains(err.Error(), "ACTIONS_RUNTIME_TOKEN") {
		t.Errorf("type=gha on a laptop: %v", err)
	}
}

// TestGitHubSettings: what becomes of a job's variables, without a daemon.
func TestGitHubSettings(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	variables := map[string]string{"ACTIONS_RUNTIME_TOKEN": "the-token", "ACTIONS_RESULTS_URL": "https://results/", "ACTIONS_CACHE_URL": "https://cache/"}
	getenv := func(name string) (string, bool) { value, ok := variables[name]; return value, ok }
	prepared := func(cache manifest.BuildCache) *job {
		t.Helper()
		b.request.App.Build.Cache = cache
		j, err := Builder{Getenv: getenv}.prepare(b.request)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	if j := prepared(manifest.BuildCache{}); len(j.imports) != 1 || j.imports[0].Attrs["url"] != "https://cache/" || j.imports[0].Attrs["url_v2"] != "" ||
		j.exports[0].Attrs["mode"] != "max" || j.exports[0].Attrs["ignore-error"] != "true" || j.exports[0].Attrs["scope"] != b.app {
		t.Errorf("%+v", j)
	}
	variables["ACTIONS_CACHE_SERVICE_V2"] = "true"
	if j := prepared(manifest.BuildCache{To: "type=gha,scope=mine"}); len(j.imports) != 0 || len(j.exports) != 1 ||
		j.exports[0].Attrs["url_v2"] != "https://results/" || j.exports[0].Attrs["scope"] != "mine" || j.exports[0].Attrs["ignore-error"] != "" || j.exports[0].Attrs["token"] != "the-token" {
		t.Errorf("%+v", j)
	}
	if j := prepared(manifest.BuildCache{From: []string{"registry.example.com/cache"}}); len(j.exports) != 0 || len(j.imports) != 1 || j.imports[0].Type != "registry" {
		t.Errorf("what dokku.hcl says is not all: %+v", j)
	}
	delete(variables, "ACTIONS_RUNTIME_TOKEN")
	if j := prepared(manifest.BuildCache{}); len(j.imports)+len(j.exports) != 0 {
		t.Errorf("without a token: %+v", j)
	}
}
