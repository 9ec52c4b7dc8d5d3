package api

// ReleaseRequest is the body of POST /v1/apps/{app}/releases.
type ReleaseRequest struct {
	Document ReleaseDocument `json:"document"`
	// RegistryAuth is used for this one pull and kept nowhere.
	RegistryAuth *RegistryAuth `json:"registry_auth,omitempty"`
	// LockWait is how many seconds to wait for another deploy of the app.
	LockWait int `json:"lock_wait,omitempty"`
	// NewestWins stops an older deploy of the app by the same key.
	NewestWins bool `json:"newest_wins,omitempty"`
	// Signed is the signed statement for the document and its image.
	Signed *Signed `json:"signed,omitempty"`
	// State travels in the header IfMatch; empty: any state will do.
	State string `json:"-"`
}

// IfMatch is the header with the state hash that a release was planned for: on any
// other state the host refuses with StalePlan (DESIGN 5).
const IfMatch = "If-Match"

// ReleaseDocument is what a client asks a host to run. Two equal documents ask
// for the same thing.
type ReleaseDocument struct {
	Image    Image  `json:"image"`
	Builder  string `json:"builder"` // dockerfile, static, pack, image
	Source   Source `json:"source"`
	Procfile string `json:"procfile,omitempty"` // the file's text
	AppJSON  string `json:"app_json,omitempty"` // the file's text
	Checks   string `json:"checks,omitempty"`   // the text of CHECKS, Dokku's old form of healthchecks
	// NginxTemplate is the text of nginx.conf.sigil.
	NginxTemplate string `json:"nginx_template,omitempty"`
	// Config is dokku.hcl's config block. A key of the last release that is
	// no longer named is unset; a key never named is left alone.
	Config map[string]string `json:"config,omitempty"`
	// Secrets names the keys of Config whose values are secret.
	Secrets []string `json:"secrets,omitempty"`
	// Declared is what else dokku.hcl says; nil: nothing.
	Declared *Declared `json:"declared,omitempty"`
}

// Declared is dokku.hcl's part of an app's settings on the host. What the last release
// named and this one does not is removed; what neither names is left alone.
type Declared struct {
	Formation map[string]Process `json:"formation,omitempty"` // by process type
	Domains   *[]string          `json:"domains,omitempty"`   // nil: not said, empty: none
	Ports     *[]string          `json:"ports,omitempty"`     // scheme:host:container
	Checks    map[string]string  `json:"checks,omitempty"`    // checks:set properties: default-wait, wait-to-retire, disabled, skipped
	Storage   []string           `json:"storage,omitempty"`   // HOST:CONTAINER[:OPTIONS]
	// DockerOptions are options in docker's own words by phase: build, deploy, run.
	DockerOptions map[string][]string `json:"docker_options,omitempty"`
	Nginx         map[string]string   `json:"nginx,omitempty"` // nginx:set properties
	Services      []Service           `json:"services,omitempty"`
}

// Process is how many containers a process type has, and within which limits.
type Process struct {
	Quantity    *int   `json:"quantity,omitempty"`
	Memory      int64  `json:"memory,omitempty"`       // bytes
	CPU         string `json:"cpu,omitempty"`          // CPUs, a decimal
	StopTimeout int    `json:"stop_timeout,omitempty"` // seconds
	MaxParallel int    `json:"max_parallel,omitempty"`
}

// Service is a plugin's service that the app is to be linked to.
type Service struct {
	Plugin string `json:"plugin"`
	Name   string `json:"name"`
	Link   bool   `json:"link"`
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
	Author   string `json:"author,omitempty"` // of the commit: "Name <address>"
	Dirty    bool   `json:"dirty,omitempty"`  // uncommitted changes were in the tree
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

// PromoteRequest is the body of POST /v1/apps/{app}/promote.
type PromoteRequest struct {
	From     string  `json:"from"` // the app whose image is taken
	LockWait int     `json:"lock_wait,omitempty"`
	Signed   *Signed `json:"signed,omitempty"`
}

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
	LabelChecks   = "com.dokku-push.checks"   // the text of CHECKS
	LabelNginx    = "com.dokku-push.nginx-conf-sigil"
	LabelBuilder  = "com.dokku-push.builder" // dockerfile, static
	LabelRevision = "org.opencontainers.image.revision"
	LabelAuthors  = "org.opencontainers.image.authors" // who wrote the commit
	LabelDirty    = "com.dokku-push.dirty"             // "true": the tree was not as the commit has it
)
