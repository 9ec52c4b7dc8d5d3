package scaffold

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// languages asks every language's own files for a name, a version and a command.
func (l *look) languages() {
	l.node()
	l.golang()
	l.python()
	l.ruby()
}

func (l *look) node() {
	var about struct {
		Name    string
		Scripts map[string]any
		Engines struct{ Node string }
	}
	if !l.readJSON("package.json", &about) {
		return
	}
	l.language = true
	l.candidate(about.Name, "name in package.json")
	if isVersion(about.Engines.Node) {
		l.guess("runtime", "node "+about.Engines.Node, "engines in package.json")
	}
	if _, starts := about.Scripts["start"]; starts { // its text may hold anything: npm finds it by itself
		l.web = append(l.web, suggestion{"web: npm start", "the start script of package.json"})
	}
}

func (l *look) python() {
	requirements, hasRequirements := l.read("requirements.txt")
	pyproject, hasProject := l.read("pyproject.toml")
	hasManage := l.has("manage.py")
	if !hasRequirements && !hasProject && !hasManage {
		return
	}
	l.language = true
	var about struct {
		Project struct {
			Name     string
			Requires string `toml:"requires-python"`
		}
		Tool struct{ Poetry struct{ Name string } }
	}
	if hasProject && toml.Unmarshal(pyproject, &about) == nil {
		l.candidate(about.Project.Name, "project.name in pyproject.toml")
		l.candidate(about.Tool.Poetry.Name, "tool.poetry.name in pyproject.toml")
		if isVersion(about.Project.Requires) {
			l.guess("runtime", "python "+about.Project.Requires, "requires-python in pyproject.toml")
		}
	}
	needs := strings.ToLower(string(requirements) + string(pyproject))
	if hasManage {
		l.guess("framework", "Django", "manage.py")
		l.web = append(l.web, suggestion{"release: python manage.py migrate", "manage.py"})
		if module := l.wsgiModule(); module != "" && strings.Contains(needs, "gunicorn") {
			l.web = append(l.web, suggestion{"web: gunicorn --bind 0.0.0.0:$PORT " + module, "gunicorn and " + strings.ReplaceAll(module, ".", "/") + ".py"})
		}
		return
	}
	for _, name := range []string{"app.py", "main.py", "server.py"} {
		if l.has(name) {
			l.web = append(l.web, suggestion{"web: python " + name, name})
			return
		}
	}
}

// wsgiModule is Django's entry for web servers: the folder beside manage.py that has it.
func (l *look) wsgiModule() string {
	found, err := fs.Glob(l.fsys, "*/wsgi.py")
	if err != nil || len(found) == 0 || !isPlain(found[0]) {
		return ""
	}
	return path.Dir(found[0]) + ".wsgi"
}

var (
	rubyForm = regexp.MustCompile(`(?m)^[ \t]*ruby[ \t(]+["']([^"']+)["']`)
	gemForm  = regexp.MustCompile(`(?m)^[ \t]*gem[ \t(]+["']([a-z0-9_-]+)["']`)
)

func (l *look) ruby() {
	text, ok := l.read("Gemfile")
	if !ok {
		return
	}
	l.language = true
	if found := rubyForm.FindSubmatch(text); found != nil && isVersion(string(found[1])) {
		l.guess("runtime", "ruby "+string(found[1]), "Gemfile")
	}
	gems := map[string]bool{}
	for _, found := range gemForm.FindAllSubmatch(text, -1) {
		gems[string(found[1])] = true
	}
	switch {
	case gems["rails"]:
		l.guess("framework", "Rails", "Gemfile")
		l.web = append(l.web, suggestion{"web: bin/rails server -b 0.0.0.0 -p $PORT", "rails in Gemfile"},
			suggestion{"release: bin/rails db:migrate", "rails in Gemfile"})
	case l.has("config.ru"):
		l.web = append(l.web, suggestion{"web: bundle exec rackup -o 0.0.0.0 -p $PORT", "config.ru"})
	}
}

// otherBuild looks for a Dockerfile in another place and for a site of plain files.
func (l *look) otherBuild() {
	for _, name := range []string{"docker/Dockerfile", "deploy/Dockerfile", "build/Dockerfile", ".docker/Dockerfile", "Containerfile"} {
		if l.has(name) {
			l.build.Dockerfile.Path, l.buildFrom = name, name
			return
		}
	}
	if l.language || l.procfile != nil {
		return
	}
	for _, folder := range []string{"public", "dist", "_site", "site", "www", "."} {
		if l.has(path.Join(folder, "index.html")) {
			static := &l.build.Static
			l.build.Builder, l.buildFrom = "static", path.Join(folder, "index.html")
			static.Base, static.Dir, static.Dest = "nginx:alpine", folder, "/usr/share/nginx/html"
			return
		}
	}
}
