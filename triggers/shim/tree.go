package shim

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// files are the shell files, a folder for each plugin that has any.
//
//go:embed all:core
var files embed.FS

// version is what the core plugins' plugin.toml says.
const version = "1.0.0"

// plugin is one core plugin. Most are a name that others look for and a place in the
// walk; what they do is in the agent.
type plugin struct{ name, description string }

// plugins are the core's, under Dokku's names: third-party plugins stand between them in
// the walk, so the names decide the order.
func plugins() []plugin {
	return []plugin{
		{"00_dokku-standard", "deploying, reporting, addresses"},
		{"20_events", "a log of what happens"},
		{"app-json", "app.json"},
		{"apps", "apps"},
		{"builder", "builders"},
		{"builder-dockerfile", "images from a Dockerfile"},
		{"builder-herokuish", "images from buildpacks of the first kind"},
		{"builder-pack", "images from Cloud Native Buildpacks"},
		{"certs", "certificates"},
		{"checks", "health checks"},
		{"common", "what plugins share"},
		{"config", "config of apps"},
		{"cron", "scheduled commands"},
		{"docker-options", "options of docker"},
		{"domains", "domains"},
		{"git", "pushes over git"},
		{"logs", "logs"},
		{"network", "networks"},
		{"nginx-vhosts", "nginx"},
		{"plugin", "plugins"},
		{"ports", "port maps"},
		{"proxy", "proxies"},
		{"ps", "processes"},
		{"registry", "registries"},
		{"resource", "limits and reservations"},
		{"run", "single commands"},
		{"scheduler", "who runs processes"},
		{"scheduler-docker-local", "processes on this host's engine"},
		{"ssh-keys", "keys"},
		{"storage", "storage"},
		{"tags", "image tags"},
		{"tar", "deploys of archives"},
		{"trace", "tracing"},
	}
}

// file is one file of the tree as it is to be on the disk.
type file struct {
	path string // below the folder of core plugins
	text []byte
	mode fs.FileMode
}

// Modes of what is laid out. Files that plugins source are executable, as Dokku's are:
// plugins test some of them for that.
const (
	scriptMode = 0o755
	plainMode  = 0o644
	folderMode = 0o755
)

// tree returns every file: the embedded ones with the program and the folder of the core
// filled in, and a plugin.toml for each plugin.
func tree(program, core string) ([]file, error) {
	var all []file
	for _, one := range plugins() {
		text := fmt.Sprintf("[plugin]\ndescription = \"dokku-push core: %s\"\nversion = \"%s\"\n\n[plugin.config]\n", one.description, version)
		all = append(all, file{path: path.Join(one.name, "plugin.toml"), text: []byte(text), mode: plainMode})
	}
	fill := strings.NewReplacer("@PROGRAM@", program, "@CORE@", core)
	err := fs.WalkDir(files, "core", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		all = append(all, file{path: strings.TrimPrefix(name, "core/"), text: []byte(fill.Replace(string(text))), mode: scriptMode})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the core's shell files: %w", err)
	}
	return all, nil
}
