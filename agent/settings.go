package agent

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// HostConfig is how a host was set up, by `dokku-agent install` or `serve`.
type HostConfig struct {
	Traffic  string      `json:"traffic"` // map or reload
	Nginx    NginxConfig `json:"nginx"`
	Map      MapConfig   `json:"map"`
	Embedded bool        `json:"embedded"`
	ID       string      `json:"id"` // label of its containers: tells hosts on one engine apart
	// TriggerTimeout is how many seconds the plugins have for one trigger; 0: ten minutes.
	TriggerTimeout int `json:"trigger_timeout,omitempty"`
	// UndoTimeout is how many seconds an undo waits for an engine that does not answer,
	// and a retirement beyond the times that the app's settings give it; 0: two minutes.
	UndoTimeout int `json:"undo_timeout,omitempty"`
	// Helper is the argv in front of the root helper's verbs when the agent is
	// not root: ["sudo", "-n", "/usr/local/bin/dokku-agent", "root"].
	Helper []string `json:"helper,omitempty"`
}

// NginxConfig says which nginx serves the apps.
type NginxConfig struct {
	Program string `json:"program"` // /usr/sbin/nginx
	Conf    string `json:"conf"`    // its main file
	Prefix  string `json:"prefix"`  // -p, empty: the built-in one
	Pid     string `json:"pid"`     // its pid file
	Port    int    `json:"port"`    // where http is served: 80
	TLSPort int    `json:"tls_port"`
	LogDir  string `json:"log_dir"`
	Bind    string `json:"bind,omitempty"` // address to listen on; empty: all
}

// MapConfig says which kernel table and which addresses belong to this host.
type MapConfig struct {
	Table  string       `json:"table"`
	Subnet netip.Prefix `json:"subnet"` // out of 198.18.0.0/15
	Device string       `json:"device"` // the route's device: docker0
}

// Settings is everything about one app that commands and release documents
// change. It is read and written whole; each of its parts is one file or
// property in Dokku's places.
type Settings struct {
	Env        map[string]string `json:"env,omitempty"`        // $LIB/config/APP/ENV
	Domains    []string          `json:"domains,omitempty"`    // $ROOT/APP/VHOST
	Scale      map[string]int    `json:"scale,omitempty"`      // property list ps/APP/scale, PROC=N
	Ports      []string          `json:"ports,omitempty"`      // property list ports/APP/map, scheme:host:container
	Properties map[string]string `json:"properties,omitempty"` // those that the transaction reads: KnownProperty
	Procfile   string            `json:"procfile,omitempty"`   // text of the current release's Procfile
	AppJSON    string            `json:"app_json,omitempty"`
	Template   string            `json:"template,omitempty"` // nginx.conf.sigil
}

// RevEnvVar is the property that names the config key of the commit that runs; one that is
// there and empty: no key is set.
const RevEnvVar = "git/rev-env-var"

// RevisionKey is the config key of the commit that runs; empty for none.
func (s Settings) RevisionKey() string {
	if key, said := s.Properties[RevEnvVar]; said {
		return key
	}
	return "GIT_REV"
}

// knownProperties are the properties that are part of Settings, as "plugin/key".
var knownProperties = []string{
	"git/deploy-branch", "git/keep-git-dir", RevEnvVar, "apps/created-at", "apps/deploy-source", "apps/deploy-source-metadata", "apps/locked",
	"app-json/heroku.postdeploy", "checks/default-wait", "checks/disabled", "checks/skipped", "checks/wait-to-retire",
	"common/deployed", "docker-options/_default_.build", "docker-options/_default_.deploy", "docker-options/_default_.run",
	"ports/map-detected", "proxy/disabled", "proxy/proxy-port", "proxy/proxy-ssl-port",
	"network/attach-post-create", "network/attach-post-deploy", "network/bind-all-interfaces", "network/initial-network", "network/static-web-listener", "network/tld",
	"ps/restart-policy", "ps/restore", "ps/stop-timeout-seconds", "ps/start-cmd", "ps/dockerfile-start-cmd", "ps/procfile-path", keepReleases, keepBytes,
	"cron/maintenance", "logs/max-size", "registry/image-repo", "registry/image-repo-template", "registry/server", "scheduler/shell",
	SigningRequired, AllowedSigners,
	ReviewParent, ReviewBranch, ReviewExpires, ReviewGoing, ReviewKeys, ReviewMax, ReviewTTL, ReviewInherit,
}

// processProperties are those that each process type may have, as "plugin/PROCESS.key".
var processProperties = []string{"ps/stop-timeout-seconds", "ps/max-parallel", "docker-options/build", "docker-options/deploy", "docker-options/run",
	"resource/limit.cpu", "resource/limit.memory", "resource/limit.memory-swap", "resource/limit.nvidia-gpu", "resource/reserve.memory"}

// anyProcess is in the place of a process type what holds for those that have no
// property of their own.
const anyProcess = "_default_"

// PropertyPlugins are the plugins whose properties are part of Settings, sorted.
func PropertyPlugins() []string {
	return []string{"app-json", "apps", "checks", "common", "cron", "docker-options", "git", "logs", "network", "nginx", "ports", "proxy", "ps", "registry", "resource", "review", "scheduler", "signing"}
}

var nginxProperty = regexp.MustCompile(`^nginx/[a-z0-9]+(-[a-z0-9]+)*$`)

// KnownProperty tells whether a property, "plugin/key", is part of Settings: the ones
// that the transaction reads, and all that nginx:set knows.
func KnownProperty(name string) bool {
	if slices.Contains(knownProperties, name) || nginxProperty.MatchString(name) {
		return true
	}
	plugin, rest, _ := strings.Cut(name, "/")
	process, key, ok := strings.Cut(rest, ".")
	return ok && (process == anyProcess || manifest.ProcessName(process) == nil) && slices.Contains(processProperties, plugin+"/"+key)
}

// of returns the properties of one plugin, by their keys alone.
func (s Settings) of(plugin string) map[string]string {
	found := map[string]string{}
	for name, value := range s.Properties {
		if key, ok := strings.CutPrefix(name, plugin+"/"); ok {
			found[key] = value
		}
	}
	return found
}

// SettingsStore keeps settings on disk.
type SettingsStore interface {
	// Read returns an app's settings; app "--global" gives the host's Env and
	// Domains (the global VHOST). ErrNotFound for an app that does not exist.
	Read(app string) (Settings, error)
	// Change reads, calls change, and writes what differs, under a short lock of
	// the app's settings. It returns the settings before and after.
	Change(app string, change func(*Settings) error) (before, after Settings, err error)
	// Has tells whether there is such an app.
	Has(app string) bool
	// Apps lists all apps, sorted.
	Apps() ([]string, error)
	// Create makes the app's folders; an app that exists is an error.
	Create(app string) error
	// Fingerprint tells whether two texts are the same without telling them: it is
	// made with a key that never leaves the host.
	Fingerprint(text string) (string, error)
	// Destroy removes every file of the app, releases and journals too.
	Destroy(app string) error
}

// Ledger keeps releases, journals and locks.
type Ledger interface {
	Releases(app string) ([]Record, error) // oldest first
	// Versions lists the releases there are, oldest first, without reading them.
	Versions(app string) ([]int, error)
	// Release reads one; ErrNotFound when there is none.
	Release(app string, version int) (Record, error)
	// Save writes a record; one that exists is never changed.
	Save(app string, record Record) error
	// SaveHooks records, once, what became of the hooks that ran after a release was
	// committed. Who reads that release finds them behind those of its record, and its
	// HooksPending false.
	SaveHooks(app string, version int, hooks []api.HookResult) error
	// Current returns the version that runs, 0 for none; SetCurrent records it.
	Current(app string) (int, error)
	SetCurrent(app string, version int) error
	// Remove removes a record (retention).
	RemoveRelease(app string, version int) error

	// Begin creates a request's journal with room reserved on disk, or opens
	// the one that is there; existed tells which.
	Begin(app, request string) (journal Journal, existed bool, err error)
	// Requests lists the app's requests that have a journal, oldest first.
	Requests(app string) ([]string, error)
	// ReadJournal returns the entries of a request from an offset on.
	ReadJournal(app, request string, offset int) ([]Entry, error)
	// Sweep removes the temporary files that killed processes have left among the app's.
	Sweep(app string) error
	// SweepGone removes what a Destroy that was killed at its last files has left of apps that
	// are no more: their locks.
	SweepGone() error
	// Tidy gives back the room that the journal of a process that is no more still has
	// reserved.
	Tidy(app, request string) error
	// RemoveJournal removes a journal and what it kept.
	RemoveJournal(app, request string) error

	// Lock takes the app's deploy lock or says who holds it. It is released by
	// Unlock or by the kernel when the process ends.
	Lock(app string, holder api.Lock) (Unlocker, *api.Lock, error)
	// Holder tells who holds the lock now; nil when it is free.
	Holder(app string) (*api.Lock, error)
}

// Unlocker releases a lock.
type Unlocker interface{ Unlock() error }

// Journal is appended to by one process. Write returns when the entry is on disk.
type Journal interface {
	Write(Entry) error
	// Note appends without waiting for the disk: events that nothing depends on.
	Note(Entry) error
	// Yield gives back most of the room that is reserved on disk: an undo needs it for what
	// it writes where the disk is full. A few marks and a verdict still fit.
	Yield() error
	Close() error
}

// Entry is one line of a journal: the request itself, an event for the client,
// or a mark of the transaction.
type Entry struct {
	Seq   int64      `json:"seq"` // order; times are for people
	Time  time.Time  `json:"time"`
	Event *api.Event `json:"event,omitempty"`
	Begin *Begin     `json:"begin,omitempty"` // first entry
	Mark  *Mark      `json:"mark,omitempty"`
}

// Begin says what was asked, by whom.
type Begin struct {
	App      string              `json:"app"`
	Request  string              `json:"request"`
	Kind     string              `json:"kind"`
	Digest   string              `json:"digest"` // of the document, to tell a repeated request from another
	Document api.ReleaseDocument `json:"document"`
	By       Caller              `json:"by"`
	PID      int                 `json:"pid"`
	Born     string              `json:"born,omitempty"` // tells the process from a later one with its pid
	// NewestWins says that older requests of the same key make way for this one.
	NewestWins bool `json:"newest_wins,omitempty"`
	// After is the request whose triggers have asked for this one.
	After string `json:"after,omitempty"`
}

// Caller is who asks: an ssh key, or a user of the host.
type Caller struct {
	User        string `json:"user"` // SSH_USER
	Name        string `json:"name"` // SSH_NAME: the key's name
	Fingerprint string `json:"fingerprint,omitempty"`
	// Apps are all that a certificate may touch, with blanks between them; empty: the key
	// is bounded by nothing but user-auth.
	Apps string `json:"apps,omitempty"`
}

// Mark is one mark of the transaction: a step begins with what is needed to
// undo it, is done, or was undone.
type Mark struct {
	Step  string          `json:"step"`
	State string          `json:"state"`          // begin, done, undone, recorded
	Undo  json.RawMessage `json:"undo,omitempty"` // what its plan read, in the step's own type
}

// Record is a release with all that a rollback needs. The env is in the same
// file, mode 0600, and never leaves the host.
type Record struct {
	api.Release
	Settings Settings            `json:"settings"`
	Document api.ReleaseDocument `json:"document"`
	// Nonce opens the commitment to Document that Signature's statement has.
	Nonce string `json:"nonce,omitempty"`
}
