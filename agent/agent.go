// Package agent decides what a release changes on this host, does it step by
// step, and takes it back if it cannot finish. It declares what it needs of the
// outside (an engine, a proxy, traffic, plugins, files) as interfaces; the
// adapters live in packages named for their technology. It starts no program
// and opens no socket itself.
package agent

import (
	"context"
	"io"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Host is one host with everything it needs. All fields are set before use.
type Host struct {
	Places     Places
	Config     HostConfig
	Images     Images
	Containers Containers
	Networks   Networks
	Proxy      Proxy
	Traffic    Traffic
	Walk       Walk
	Services   Services // nil: no plugin runs any
	Checker    Checker
	Registries Registries
	Blobs      Blobs
	Signatures Signatures // nil: nothing that is signed is taken
	Settings   SettingsStore
	Ledger     Ledger
	Version    string // of the agent program
}

// ErrNotFound is what adapters return, wrapped, for an image, container or app
// that does not exist.
var ErrNotFound = errNotFound{}

type errNotFound struct{}

func (errNotFound) Error() string { return "not found" }

// Images is what the transaction needs of the engine's images.
type Images interface {
	// Image inspects an image by id or reference; ErrNotFound when absent.
	Image(ctx context.Context, ref string) (Image, error)
	// Pull fetches repository@digest. auth may be nil. progress may be nil.
	Pull(ctx context.Context, ref string, auth *api.RegistryAuth, progress func(api.Progress)) error
	// Tag names an image id; the name is moved if it was another image's.
	Tag(ctx context.Context, id, name string) error
	// Untag removes one name (tag or digest reference); the image goes with its
	// last one. A name that is not there is no error. An image that a container
	// still uses keeps its layers.
	Untag(ctx context.Context, name string) error
	// Names lists tags and digest references of a repository ("dokku/app").
	Names(ctx context.Context, repository string) ([]string, error)
	// Dangling lists the images that have no name and carry every label.
	Dangling(ctx context.Context, labels map[string]string) ([]Image, error)
}

// Image is what the engine says of an image.
type Image struct {
	ID         string // config digest
	OS, Arch   string
	Entrypoint []string
	Cmd        []string
	Env        []string
	WorkingDir string
	User       string
	Exposed    []string // "5000/tcp"
	Labels     map[string]string
	DiffIDs    []string
	Names      []string // tags
	Digests    []string // repository@digest references
	Size       int64
}

// Containers is what the transaction needs of the engine's containers. Ids and
// names are both accepted where the parameter is called ref.
type Containers interface {
	Create(ctx context.Context, spec ContainerSpec) (id string, err error)
	Start(ctx context.Context, ref string) error
	Inspect(ctx context.Context, ref string) (Container, error)
	// List gives all containers, running or not, that carry every label.
	List(ctx context.Context, labels map[string]string) ([]Container, error)
	Rename(ctx context.Context, ref, name string) error
	// Stop sends TERM, waits for grace, then kills. Restart policies are switched
	// off first. A container that is gone is no error.
	Stop(ctx context.Context, ref string, grace time.Duration) error
	// Resume starts a container that Stop has stopped, with a restart policy again:
	// "on-failure:10".
	Resume(ctx context.Context, ref, restart string) error
	// Remove removes a stopped or running container and its anonymous volumes.
	// A container that is gone is no error.
	Remove(ctx context.Context, ref string) error
	// Wait returns when the container has exited. Call it before Start to miss
	// nothing; the channel gives one result.
	Wait(ctx context.Context, ref string) <-chan Exit
	Logs(ctx context.Context, ref string, options LogOptions, out io.Writer) error
	// Exec runs a command in a running container; its output goes to out.
	Exec(ctx context.Context, ref string, command []string, out io.Writer) (exit int, err error)
	// Enter is Exec with all three streams.
	Enter(ctx context.Context, ref string, command []string, streams Streams) (exit int, err error)
	// Run attaches to a container that was created, starts it, copies streams
	// and returns its exit code. With a TTY in its spec, out carries both.
	Run(ctx context.Context, ref string, streams Streams) (exit int, err error)
	// Commit makes an image of a container's files; the config is base's, so
	// that entrypoint, command, env and labels stay, with extra labels added.
	Commit(ctx context.Context, ref, base string, labels map[string]string) (id string, err error)
	// Events calls f for each container start and die until ctx ends or the engine is lost.
	Events(ctx context.Context, f func(ContainerEvent)) error
	// ReadFile reads a regular file of a container, which need not run; it follows no
	// link. What is not there is ErrNotFound; what is no file, or has more bytes than
	// most, is another error that says so.
	ReadFile(ctx context.Context, ref, path string, most int64) ([]byte, error)
	// Volumes are the names of the engine's volumes that begin so, sorted.
	Volumes(ctx context.Context, prefix string) ([]string, error)
	// RemoveVolume removes a volume with what is in it. One that a container has stays;
	// that, or one that is gone, is no error.
	RemoveVolume(ctx context.Context, name string) error
	// Info says what the engine is.
	Info(ctx context.Context) (EngineInfo, error)
}

// ContainerSpec is a container to create.
type ContainerSpec struct {
	Name       string
	Image      string // id
	Entrypoint []string
	Cmd        []string
	Env        map[string]string // values never enter an argv
	Labels     map[string]string
	// Args are `docker run` options from docker-args-deploy and its family, in
	// Docker's own words, already split. The adapter understands whatever the
	// docker program does.
	Args       []string
	Init       bool   // an init process reaps children and forwards signals
	Restart    string // "on-failure:10", "" for none
	TTY, Stdin bool
	// Network is where it is created, empty: the default bridge. Others find it there by
	// the aliases too; the default bridge knows none.
	Network  string
	Aliases  []string
	Memory   int64 // bytes, 0: no limit
	NanoCPUs int64 // billionths of a CPU, 0: no limit
}

// Container is what the engine says of a container.
type Container struct {
	ID, Name  string // name without a leading slash
	Image     string // config digest
	Labels    map[string]string
	Env       []string
	Status    string // created, running, exited, dead, restarting, paused
	Running   bool
	ExitCode  int
	OOMKilled bool
	Started   time.Time
	Address   string // on the default bridge or its first network; empty when not running
	Restarts  int
	Networks  []string // that it is in, by name
	Network   string   // that it was created in: a name, or an engine's word: default, host, none, container:ID
	Memory    int64    // limit in bytes, 0: none
}

// Exit is how a container ended.
type Exit struct {
	Code int
	Err  error
}

// LogOptions says which of a container's output to read.
type LogOptions struct {
	Follow     bool
	Tail       int // lines, 0: all
	Since      time.Time
	Timestamps bool
}

// Streams are a command's three. Nil ones are not connected.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// ContainerEvent is a container that started or died.
type ContainerEvent struct {
	Action string // start, die
	ID     string
	Labels map[string]string
}

// EngineInfo is what the engine says of itself.
type EngineInfo struct {
	OS, Arch string // Go's words
	Store    string
	Root     string // where it keeps images
	Version  string
	Memory   int64
}

// PortMap is one entry of an app's port map: scheme:host:container.
type PortMap struct {
	Scheme    string // http, https, grpc, grpcs, tcp, udp
	Host      int
	Container int
}

// Site is what an app's nginx file is made of (PLUGIN-CONTRACT 6.6).
type Site struct {
	App       string
	Domains   []string
	Ports     []PortMap
	Listeners map[string][]string // process type to "address:port" of each container; web's are the upstream
	Deployed  bool
	Template  string            // the app's nginx.conf.sigil; empty: the built-in one
	Env       map[string]string // for {{ var "X" }}
	// HTTPPort and TLSPort are where proxy:set has moved 80 and 443; 0: nowhere.
	HTTPPort, TLSPort int
	// Properties are the app's nginx:set properties, by their names.
	Properties map[string]string
}

// Proxy is nginx. All methods hold the host-wide nginx lock while they change
// something.
type Proxy interface {
	// Baseline tests the tree that is there before anything changes. Files of
	// other apps that are broken are put aside (last good bytes or a 502 site)
	// and named in the warnings; an error means nginx cannot work at all.
	Baseline(ctx context.Context, app string) (warnings []string, err error)
	// Domain tells why a name cannot be a site's domain, or nil.
	Domain(name string) error
	// Render makes the app's file.
	Render(ctx context.Context, site Site) ([]byte, error)
	// Diff shows how the app's live file would change, as a unified diff.
	Diff(app string, conf []byte) (string, error)
	// Check tests conf as the app's file in a copy of the tree. Nothing live changes.
	Check(ctx context.Context, app string, conf []byte) error
	// Swap makes conf the app's live file: the former one is copied to kept
	// (a path; a missing former leaves kept+".absent"), conf is renamed in,
	// preReload runs (it may edit the live file), then, only when the bytes differ from what nginx
	// has loaded, the tree is tested, nginx reloaded and probed until the new workers
	// answer. On failure the kept file is back, loaded, before it returns.
	Swap(ctx context.Context, app string, conf []byte, kept string, preReload func() error) (reloaded bool, err error)
	// Restore puts the kept file back byte for byte and reloads if nginx has
	// other bytes. It may be called again after a crash, any number of times.
	Restore(ctx context.Context, app, kept string) error
	// Remove takes the app's file away and reloads.
	Remove(ctx context.Context, app string) error
}

// Backend is one web container of an app.
type Backend struct {
	Index   int    `json:"index"`   // N of APP.web.N, from 1
	Address string `json:"address"` // of the container
	Port    int    `json:"port"`    // in the container
}

// Traffic sends an app's addresses to its containers: by the kernel's address
// map, or by nginx alone, where each address is the container's own.
type Traffic interface {
	// Name is "map" or "reload".
	Name() string
	// Listeners returns, for each backend, the "address:port" that nginx's
	// upstream must name. With the map they are stable and kept in state.
	Listeners(ctx context.Context, app string, backends []Backend) ([]string, error)
	// Point sends the app's addresses to these backends in one step. exact
	// removes what is not named; otherwise former addresses stay.
	Point(ctx context.Context, app string, backends []Backend, exact bool) error
	// Drain waits until nothing is connected to a container's address any more,
	// at most for the time given; it returns how many connections are left.
	Drain(ctx context.Context, address string, most time.Duration) (left int, err error)
	// Sync writes the whole map anew from what each app's backends are.
	Sync(ctx context.Context, apps map[string][]Backend) error
	// Forget gives the app's addresses back.
	Forget(ctx context.Context, app string) error
}

// Walk fires triggers (PLUGIN-CONTRACT 1.2).
type Walk interface {
	// Trigger walks the enabled plugins. The first failure ends the walk; its error
	// names the plugin and its exit code. Streams that are nil are empty.
	Trigger(ctx context.Context, name string, args []string, streams Streams) error
	// Ships names the enabled plugins, other than 20_events, that have the trigger.
	Ships(name string) []string
	// Has tells whether anybody, the core or a plugin, has a part in the trigger.
	Has(name string) bool
}

// Blobs hands received layers to the engine.
type Blobs interface {
	// Listen offers one app's manifest to one pull of the engine, behind a
	// password made for it.
	Listen(ctx context.Context, app string) (Pull, error)
	// Load receives an image archive (docker save, or an OCI layout as a tar) for an app's
	// next deploy: the image of that name, of the engine's platform. On an error nothing
	// of it is kept.
	Load(ctx context.Context, app, name string, engine EngineInfo, from io.Reader) (api.Image, error)
	// Tagged is the image that a client has sent for an app under a tag; ErrNotFound where
	// there is none.
	Tagged(app, tag string) (api.Image, error)
	// Drop forgets the blobs of a manifest that the engine has now.
	Drop(app, manifest string) error
	// Tidy removes the temporary files that killed processes have left among an app's.
	Tidy(app string) error
	// Forget removes all of an app.
	Forget(app string) error
}

// Pull is one offered pull.
type Pull interface {
	// Ref is what to pull for a manifest digest.
	Ref(manifest string) string
	// Auth is what to say.
	Auth() api.RegistryAuth
	// Missing lists blobs that were asked for and are not there.
	Missing() []string
	Close() error
}

// Registries keeps what the engine's own client says to image registries.
type Registries interface {
	// Login checks a password with a registry and keeps it among the files of the
	// user that the agent runs as.
	Login(ctx context.Context, server, user, password string) error
	// Logout forgets it. One that is not known is no error.
	Logout(ctx context.Context, server string) error
}

// ErrEnded is the cause with which a check's context ends because its container has
// ended: the check has failed, and whom it names is told.
var ErrEnded = errEnded{}

type errEnded struct{}

func (errEnded) Error() string { return "the container ended" }

// Checker tells whether one container is ready.
type Checker interface {
	// Check returns nil as soon as every check passed, and an error that shows
	// the last attempt of the one that did not. say receives each attempt. It does what
	// the onFailure of a check says before it returns.
	Check(ctx context.Context, probe Probe, say func(line string)) error
}

// Probe is one container to check.
type Probe struct {
	Process   string
	Index     int
	Container string // id
	Address   string
	Port      int    // 0: it serves nothing
	Host      string // for the Host header: the app's first domain
	TLS       bool   // the app has a certificate: X-Forwarded-Proto says https
	Checks    []manifest.Healthcheck
	// Wait is the uptime asked for when no check is declared and nothing listens.
	Wait time.Duration
}
