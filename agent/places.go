package agent

import (
	"path/filepath"
	"strconv"
)

// Places says where things are on a host. They are Dokku's places
// (PLUGIN-CONTRACT 5.8), so that plugins find them; ours are under Data.
type Places struct {
	Root string // $DOKKU_ROOT: /home/dokku
	Lib  string // $DOKKU_LIB_ROOT: /var/lib/dokku
	Logs string // $DOKKU_LOGS_DIR: /var/log/dokku
}

// App is the app's folder; that it exists means that the app exists.
func (p Places) App(app string) string { return filepath.Join(p.Root, app) }

// Vhost lists the app's domains, one a line.
func (p Places) Vhost(app string) string { return filepath.Join(p.Root, app, "VHOST") }

// NginxConf is the app's live nginx file.
func (p Places) NginxConf(app string) string { return filepath.Join(p.Root, app, "nginx.conf") }

// NginxConfDir holds what plugins include into the app's server blocks.
func (p Places) NginxConfDir(app string) string { return filepath.Join(p.Root, app, "nginx.conf.d") }

// TLS holds server.crt and server.key.
func (p Places) TLS(app string) string { return filepath.Join(p.Root, app, "tls") }

// Process is the file $ROOT/APP/KIND.PROC.N; kind is CONTAINER, IP or PORT.
func (p Places) Process(app, kind, process string, index int) string {
	return filepath.Join(p.Root, app, kind+"."+process+"."+strconv.Itoa(index))
}

// Env is the app's env file; app "--global" is the host's.
func (p Places) Env(app string) string { return filepath.Join(p.Lib, "config", app, "ENV") }

// Property is one property of a plugin for an app or "--global".
func (p Places) Property(plugin, app, key string) string {
	return filepath.Join(p.Lib, "config", plugin, app, key)
}

// Plugins is the plugin tree, CorePlugins the tree of the core.
func (p Places) Plugins() string     { return filepath.Join(p.Lib, "plugins") }
func (p Places) CorePlugins() string { return filepath.Join(p.Lib, "core-plugins") }

// DeployLock is the app's lock file.
func (p Places) DeployLock(app string) string {
	return filepath.Join(p.Lib, "data", "apps", app, ".deploy.lock")
}

// Data is the agent's own folder; app-less things of the host are in it.
func (p Places) Data() string { return filepath.Join(p.Lib, "data", "agent") }

// AppData is the agent's folder for one app.
func (p Places) AppData(app string) string { return filepath.Join(p.Data(), "apps", app) }

// Journal is the journal of one request.
func (p Places) Journal(app, request string) string {
	return filepath.Join(p.AppData(app), "journal", request+".jsonl")
}

// Kept is where the former nginx file is kept while a request runs.
func (p Places) Kept(app, request string) string {
	return filepath.Join(p.AppData(app), "journal", request+".nginx.conf")
}

// ReleaseRecord is release vN.
func (p Places) ReleaseRecord(app string, version int) string {
	return filepath.Join(p.AppData(app), "releases", "v"+strconv.Itoa(version)+".json")
}

// ReleaseHooks is what became of the hooks that ran after release vN was committed.
func (p Places) ReleaseHooks(app string, version int) string {
	return filepath.Join(p.AppData(app), "releases", "v"+strconv.Itoa(version)+".hooks")
}

// Promoted is the Procfile, app.json or nginx.conf.sigil of the current release.
func (p Places) Promoted(app, file string) string {
	return filepath.Join(p.AppData(app), "files", file)
}

// HostConfig is the file that says how this host is set up.
func (p Places) HostConfig() string { return filepath.Join(p.Data(), "host.json") }

// NginxLock is the host-wide lock of nginx, the address map and domains.
func (p Places) NginxLock() string { return filepath.Join(p.Data(), "nginx.lock") }

// NginxLoaded is a copy of the app's file as nginx has loaded it.
func (p Places) NginxLoaded(app string) string {
	return filepath.Join(p.Data(), "nginx-loaded", app+".conf")
}

// Blobs is the store of received layers.
func (p Places) Blobs() string { return filepath.Join(p.Data(), "store") }

// Addresses keeps which stable address belongs to which app and index.
func (p Places) Addresses() string { return filepath.Join(p.Data(), "addresses.json") }

// Storage holds what apps store; it outlives them.
func (p Places) Storage() string { return filepath.Join(p.Lib, "data", "storage") }
