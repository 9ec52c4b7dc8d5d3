package dockerfile

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	receiverUser = "dokku-push"
	maxManifest  = 4 << 20 // bytes, as registries hold it
)

// receiver is the push side of the OCI distribution API for one image: blobs
// land in the store, and a layer that the store knows is not asked for.
type receiver struct {
	http.Handler
	store    *store
	password string
	known    map[v1.Hash]int64 // digests that need not be sent, with their size

	mu        sync.Mutex
	uploads   map[string]*blobWriter
	manifests []record // Config is not set
}

func newReceiver(s *store, password string, missing v1.Hash) *receiver {
	r := &receiver{store: s, password: password, known: map[v1.Hash]int64{}, uploads: map[string]*blobWriter{}}
	for _, layer := range s.layers() {
		if layer.Digest != missing {
			r.known[layer.Digest] = layer.Size
		}
	}
	const repository = "/v2/{name}"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("HEAD "+repository+"/blobs/{digest}", r.headBlob)
	mux.HandleFunc("POST "+repository+"/blobs/uploads/{$}", r.startUpload)
	mux.HandleFunc("PATCH "+repository+"/blobs/uploads/{id}", r.patchUpload)
	mux.HandleFunc("PUT "+repository+"/blobs/uploads/{id}", r.putUpload)
	mux.HandleFunc("PUT "+repository+"/manifests/{reference}", r.putManifest)
	r.Handler = r.guard(mux)
	return r
}

// guard asks for the password.
func (r *receiver) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_, password, _ := request.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(password), []byte(r.password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="dokku-push"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"password needed"}]}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		next.ServeHTTP(w, request)
	})
}

func (r *receiver) headBlob(w http.ResponseWriter, request *http.Request) {
	digest, err := v1.NewHash(request.PathValue("digest"))
	r.mu.Lock()
	size, ok := r.known[digest]
	r.mu.Unlock()
	if err != nil || !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", fmt.Sprint(size))
}

func (r *receiver) startUpload(w http.ResponseWriter, request *http.Request) {
	blob, err := r.store.newBlob()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	id := rand.Text()
	r.mu.Lock()
	r.uploads[id] = blob
	r.mu.Unlock()
	w.Header().Set("Location", request.URL.Path+id)
	w.Header().Set("Docker-Upload-UUID", id)
	w.Header().Set("Range", "0-0")
	w.WriteHeader(http.StatusAccepted)
}

// take hands an upload to one request; nobody else finds it meanwhile.
func (r *receiver) take(id string) (*blobWriter, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	blob, ok := r.uploads[id]
	delete(r.uploads, id)
	return blob, ok
}

func (r *receiver) patchUpload(w http.ResponseWriter, request *http.Request) {
	id := request.PathValue("id")
	blob, ok := r.take(id)
	if !ok {
		http.Error(w, "no such upload", http.StatusNotFound)
		return
	}
	if _, err := io.Copy(blob, request.Body); err != nil {
		blob.drop()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r.mu.Lock()
	r.uploads[id] = blob
	r.mu.Unlock()
	w.Header().Set("Location", request.URL.Path)
	w.Header().Set("Docker-Upload-UUID", id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(blob.size-1, 0)))
	w.WriteHeader(http.StatusAccepted)
}

func (r *receiver) putUpload(w http.ResponseWriter, request *http.Request) {
	blob, ok := r.take(request.PathValue("id"))
	if !ok {
		http.Error(w, "no such upload", http.StatusNotFound)
		return
	}
	if _, err := io.Copy(blob, request.Body); err != nil {
		blob.drop()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	digest, err := blob.commit()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if digest.String() != request.URL.Query().Get("digest") {
		http.Error(w, `{"errors":[{"code":"DIGEST_INVALID"}]}`, http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.known[digest] = blob.size
	r.mu.Unlock()
	w.Header().Set("Location", strings.TrimSuffix(request.URL.Path, "/uploads/"+request.PathValue("id"))+"/"+digest.String())
	w.Header().Set("Docker-Content-Digest", digest.String())
	w.WriteHeader(http.StatusCreated)
}

func (r *receiver) putManifest(w http.ResponseWriter, request *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxManifest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.manifests = append(r.manifests, record{
		Manifest: text, MediaType: types.MediaType(request.Header.Get("Content-Type")),
	})
	r.mu.Unlock()
	w.Header().Set("Docker-Content-Digest", digestOf(text))
	w.WriteHeader(http.StatusCreated)
}

// received returns the record of the image with that id, or without an id of the one
// image that came.
func (r *receiver) received(id string) (*record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, got := range r.manifests {
		manifest, err := got.manifest()
		if err != nil || len(manifest.Layers) == 0 || id != "" && manifest.Config.Digest.String() != id {
			continue // an index, or another platform's manifest
		}
		config, err := r.store.takeConfig(manifest.Config.Digest)
		if err != nil {
			return nil, fmt.Errorf("read the config that the engine sent: %w", err)
		}
		got.Config = config
		return &got, nil
	}
	return nil, fmt.Errorf("the engine pushed another image than %s: was the app built twice at a time?", id)
}

// drop removes what was not sent whole.
func (r *receiver) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, blob := range r.uploads {
		blob.drop()
		delete(r.uploads, id)
	}
}
