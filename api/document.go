package api

// ReleaseRequest is the body of POST /v1/apps/{app}/releases.
type ReleaseRequest struct {
	Document ReleaseDocument `json:"document"`
	// RegistryAuth is used for this one pull and kept nowhere.
	RegistryAuth *RegistryAuth `json:"registry_auth,omitempty"`
	// LockWait is how many seconds to wait for another deploy of the app.
	LockWait int `json:"lock_wait,omitempty"`
}

// ReleaseDocument is what a client asks a host to run. Two equal documents ask
// for the same thing.
type ReleaseDocument struct {
	Image    Image  `json:"image"`
	Builder  string `json:"builder"` // dockerfile, static, pack, image
	Source   Source `json:"source"`
	Procfile string `json:"procfile,omitempty"` // the file's text
	AppJSON  string `json:"app_json,omitempty"` // the file's text
	// Config is dokku.hcl's config block. A key of the last release that is
	// no longer named is unset; a key never named is left alone.
	Config map[string]string `json:"config,omitempty"`
}

// Image names an image by its digests.
type Image struct {
	ID       string `json:"id"`       // config digest, what Docker calls the image id: sha256:...
	Manifest string `json:"manifest"` // manifest digest: sha256:...
	// Registry is the repository to pull from, without tag or digest:
	// "registry.example.com/team/app". Empty: the layers were sent to /v2/.
	Registry string `json:"registry,omitempty"`
}

// Source is where an image came from. It is recorded and shown, never used.
type Source struct {
	Revision string `json:"revision,omitempty"` // commit id
	Branch   string `json:"branch,omitempty"`
	Dirty    bool   `json:"dirty,omitempty"` // uncommitted changes were in the tree
	RunURL   string `json:"run_url,omitempty"`
}

// RegistryAuth is what a registry wants to hear. Its String shows none of it.
type RegistryAuth struct {
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identity_token,omitempty"`
	RegistryToken string `json:"registry_token,omitempty"`
}

func (RegistryAuth) String() string   { return "registry credentials" }
func (RegistryAuth) GoString() string { return "registry credentials" }

// RollbackRequest is the body of POST /v1/apps/{app}/rollback.
type RollbackRequest struct {
	Release  int `json:"release,omitempty"` // vN; 0 is the last healthy release before the current one
	LockWait int `json:"lock_wait,omitempty"`
}

// The labels that every built image carries, beside LabelRevision of the OCI
// image spec. They let an image that arrives by its name alone be deployed.
const (
	LabelProcfile = "com.dokku-push.procfile" // the file's text
	LabelAppJSON  = "com.dokku-push.app-json" // the file's text
	LabelBuilder  = "com.dokku-push.builder"  // dockerfile, static
	LabelRevision = "org.opencontainers.image.revision"
)
