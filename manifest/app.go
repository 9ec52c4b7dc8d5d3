// Package manifest is what a repository says about its app: Procfile, app.json,
// dokku.hcl or its JSON twin, project.toml and CHECKS become one App, or every mistake
// with its place. It reads files and decides what they mean; it builds nothing and
// speaks to no host. What dokku.hcl may hold is a table, of which the reader, the JSON
// Schema and the reference are made.
package manifest

import "time"

// App is what a source tree declares. The zero value of a field means that
// nothing was said.
type App struct {
	Name   string // dokku.hcl app; empty when nothing named it
	Block  string // the label of its app block, where dokku.hcl has some
	Folder string // where Procfile, app.json and the like were read, relative to the project; empty: the project's own
	Host   Host   // the host block to push to
	Image  ImageSpec
	Build  Build
	Config map[string]string // dokku.hcl config
	// Secrets are names of config keys whose values come from the environment of
	// the client: dokku.hcl secrets.
	Secrets       []string
	Formation     map[string]ProcessSpec // dokku.hcl formation "PROC"
	Domains       *[]string              // nil: not said; empty: none at all
	Ports         *[]string              // "scheme:host:container"; nil: not said
	Checks        Checks
	Storage       *[]Mount // nil: not said
	DockerOptions DockerOptions
	Nginx         map[string]string // nginx:set properties by their names in Dokku: client-max-body-size
	Services      []Service
	Review        Review
	Withheld      []string  // what is said and a review app is not given, by key; only where Options.Review is set
	Procfile      *Procfile // nil when there is no Procfile
	AppJSON       *AppJSON  // nil when there is no app.json
	// Healthchecks are app.json's, or those of an old CHECKS file for web where
	// app.json has none.
	Healthchecks map[string][]Healthcheck
	Project      *ProjectTOML // nil when there is no project.toml
	// ProcfileText and AppJSONText are the files as they stand: they travel
	// with the release document and as image labels.
	ProcfileText string
	AppJSONText  string
	ChecksText   string // CHECKS as it stands, where it counts
	// NginxTemplate is the text of nginx.conf.sigil, or of the file that the property
	// nginx-conf-sigil-path names.
	NginxTemplate string

	said said // who said what, for Explain
}

// Host is dokku.hcl's `host "NAME" { address host_key }`.
type Host struct {
	Name    string
	Address string // [user@]host[:port]
	HostKey string // pinned host key: "SHA256:..." or an authorized_keys style public key
}

// ImageSpec is dokku.hcl's `image { registry platforms }`.
type ImageSpec struct {
	Registry  string   // repository to push to, empty: over ssh
	Platforms []string // "linux/amd64"; empty: the host's own
}

// Build is dokku.hcl's `build { builder context dir image args secrets ssh dockerfile{} static{} pack{} cache{} }`.
type Build struct {
	Builder    string   // dockerfile, static, pack or image; empty: found out from the source tree
	Context    string   // relative to the project, default "."
	Dir        string   // the app's folder where it is not the context, relative to the project
	Watch      []string // what beside Dir it is built from: paths and patterns, relative to the project
	Image      string   // what builder "image" deploys, built elsewhere
	Args       map[string]string
	Secrets    []string // names of environment variables that the build may read, never in a layer
	SSH        []string // ids of the ssh mounts that may use the ssh-agent of this machine
	Dockerfile DockerfileBuild
	Static     StaticBuild
	Pack       PackBuild
	Cache      BuildCache
}

// PackBuild is `build { pack { builder buildpacks env run_image } }`. What project.toml
// says of the same is in App.Project; what is said here wins.
type PackBuild struct {
	Builder    string
	Buildpacks []string
	Env        map[string]string
	RunImage   string
}

// BuildCache is `build { cache { from to image volume } }`.
type BuildCache struct {
	From   []string // BuildKit cache sources: an image, or "type=registry,ref=…"
	To     string   // BuildKit cache target
	Image  string   // pack's cache image
	Volume bool     // pack's cache volume, said on purpose
}

// DockerfileBuild is `build { dockerfile { path target } }`.
type DockerfileBuild struct {
	Path   string // default "Dockerfile"
	Target string
}

// StaticBuild is `build { static { base dir dest command make } }`.
type StaticBuild struct {
	Base    string // registry reference, OCI layout folder or docker-save tar
	Dir     string // files to lay on the base, relative to the context, default "."
	Dest    string // where they go in the image, default "/app"
	Command string // web process when there is no Procfile
	Make    string // command that is run here first; what it leaves in $OUT goes to Dest, too
}

// ProcessSpec is dokku.hcl's `formation "PROC" { quantity memory cpu stop_timeout max_parallel }`.
type ProcessSpec struct {
	Quantity    *int          // nil: not said
	Memory      int64         // limit in bytes, 0: not said
	CPU         string        // limit in CPUs as a decimal, "0.5"; empty: not said
	StopTimeout time.Duration // between TERM and KILL, whole seconds; 0: not said
	MaxParallel int           // containers started at once, 0: not said
}

// Checks is dokku.hcl's `checks { disabled skipped wait wait_to_retire }`, the properties
// of Dokku's checks plugin. Nil and empty: not said.
type Checks struct {
	Disabled     []string       // process types whose old containers stop first, unchecked; "_all_": every one
	Skipped      []string       // process types that are not checked; "_all_": every one
	Wait         *time.Duration // how long a process without a healthcheck must run
	WaitToRetire *time.Duration // most time for old connections to end
}

// Mount is one entry of dokku.hcl's `storage { mounts }`: "HOST_PATH_OR_VOLUME:CONTAINER_PATH[:OPTIONS]".
type Mount struct {
	Host      string // absolute path, or a volume's name
	Container string // absolute path
	Options   string // "ro", "rw,z"; may be empty
}

// String writes a mount as Dokku's storage:mount takes it.
func (m Mount) String() string {
	text := m.Host + ":" + m.Container
	if m.Options != "" {
		text += ":" + m.Options
	}
	return text
}

// DockerOptions is dokku.hcl's `docker_options { build deploy run }`: for each phase,
// options of docker in its own words, one "--option value" an entry. Nil: not said.
type DockerOptions struct {
	Build, Deploy, Run []string
}

// Service is dokku.hcl's `service "NAME" { plugin link }`.
type Service struct {
	Name   string
	Plugin string // postgres, redis, ...
	Link   bool   // default true
}

// Review is dokku.hcl's `review { domain ttl max inherit }`: how review apps are made.
type Review struct {
	Domain  string        // under which a review app answers
	TTL     time.Duration // 0: not said
	Max     int           // most review apps at once, 0: not said
	Inherit []string      // config keys that a review app takes over; nothing else is
}

// Server is dokku.hcl's second kind, `server "NAME" { … }`: it describes a host.
type Server struct {
	Name    string
	Address string // as in Host
	HostKey string
	Plugins []ServerPlugin    // plugin "NAME" { url committish }
	Keys    []ServerKey       // ssh_key "NAME" { public_key }
	Apps    []string          // apps that exist
	Config  map[string]string // global config
	Domains *[]string         // global domains, nil: not said
}

// ServerPlugin is one plugin that a host has.
type ServerPlugin struct{ Name, URL, Committish string }

// ServerKey is one ssh key that may use a host.
type ServerKey struct{ Name, PublicKey string }

// Process is one line of a Procfile.
type Process struct {
	Name    string // a DNS label
	Command string
	Line    int
}

// Procfile is an ordered list of processes.
type Procfile struct{ Processes []Process }

// Release is the name of the process that runs once in each release and is
// never scaled.
const Release = "release"

// Command returns the command of a process type.
func (p *Procfile) Command(name string) (string, bool) {
	if p == nil {
		return "", false
	}
	for _, process := range p.Processes {
		if process.Name == name {
			return process.Command, true
		}
	}
	return "", false
}

// Scaled returns the names of the processes that run all the time: all but
// release, in the file's order. Without a Procfile it is web alone.
func (p *Procfile) Scaled() []string {
	if p == nil {
		return []string{"web"}
	}
	var names []string
	for _, process := range p.Processes {
		if process.Name != Release {
			names = append(names, process.Name)
		}
	}
	return names
}
