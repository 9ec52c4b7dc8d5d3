package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// buildpacksFile is where herokuish and Heroku's multi buildpack look for a list.
const buildpacksFile = ".buildpacks"

// procfile is the buildpack that makes process types of a Procfile. In a builder's own
// groups it comes last; a list of an app replaces those groups.
const procfile = "heroku/procfile"

// successors are Heroku's buildpacks, by repository, and the Cloud Native Buildpacks
// that do their work. Empty: nothing is needed in its place.
var successors = map[string]string{
	"heroku/heroku-buildpack-dotnet":         "heroku/dotnet",
	"heroku/heroku-buildpack-go":             "heroku/go",
	"heroku/heroku-buildpack-gradle":         "heroku/gradle",
	"heroku/heroku-buildpack-java":           "heroku/java",
	"heroku/heroku-buildpack-jvm-common":     "heroku/jvm",
	"heroku/heroku-buildpack-nodejs":         "heroku/nodejs",
	"heroku/heroku-buildpack-php":            "heroku/php",
	"heroku/heroku-buildpack-procfile":       "heroku/procfile",
	"heroku/heroku-buildpack-python":         "heroku/python",
	"heroku/heroku-buildpack-ruby":           "heroku/ruby",
	"heroku/heroku-buildpack-sbt":            "heroku/sbt",
	"heroku/heroku-buildpack-scala":          "heroku/scala",
	"heroku/heroku-buildpack-multi":          "", // .buildpacks is read anyway
	"ddollar/heroku-buildpack-multi":         "",
	"dokku/buildpack-multi":                  "",
	"gliderlabs/heroku-buildpack-multi":      "",
	"dokku/heroku-buildpack-multi":           "",
	"paketo-buildpacks/procfile":             "paketo-buildpacks/procfile",
	"heroku/heroku-buildpack-multi-procfile": "heroku/procfile",
}

// nothing are buildpacks that have no successor, and what to do instead.
var nothing = map[string]string{
	"heroku/heroku-buildpack-apt":                "use heroku/deb-packages, and list the packages of the Aptfile in project.toml under [com.heroku.buildpacks.deb-packages]",
	"heroku-community/apt":                       "use heroku/deb-packages, and list the packages of the Aptfile in project.toml under [com.heroku.buildpacks.deb-packages]",
	"heroku/heroku-buildpack-static":             "use build { builder = \"static\" } in dokku.hcl",
	"heroku/heroku-buildpack-nginx":              "use paketo-buildpacks/nginx with a Paketo builder, or a Dockerfile",
	"dokku/buildpack-nginx":                      "use paketo-buildpacks/nginx with a Paketo builder, build { builder = \"static\" }, or a Dockerfile",
	"heroku/heroku-buildpack-clojure":            "use paketo-buildpacks/clojure-tools with a Paketo builder, or a Dockerfile",
	"heroku/heroku-buildpack-inline":             "use an inline buildpack in project.toml: [[io.buildpacks.group]] with script",
	"heroku/heroku-buildpack-null":               "use build { builder = \"static\" } in dokku.hcl",
	"ryandotsmith/null-buildpack":                "use build { builder = \"static\" } in dokku.hcl",
	"weibeld/heroku-buildpack-run":               "use an inline buildpack in project.toml: [[io.buildpacks.group]] with script",
	"timanovsky/subdir-heroku-buildpack":         "name the folder in dokku.hcl: build { dir = \"...\" }",
	"lstoll/heroku-buildpack-monorepo":           "name the folder in dokku.hcl: build { dir = \"...\" }",
	"heroku/heroku-buildpack-google-chrome":      "use heroku/deb-packages with the package of a browser in project.toml, or a Dockerfile",
	"heroku/heroku-buildpack-chrome-for-testing": "use heroku/deb-packages with the package of a browser in project.toml, or a Dockerfile",
}

// list is what the app says about its buildpacks; empty: the builder finds out.
type list struct {
	buildpacks []string
	from       string   // the file that said it
	notes      []string // what a person should know about the translation
}

// buildpacksOf finds the app's list: dokku.hcl's, else .buildpacks, else app.json's.
// A group in project.toml stands between the first two; pack reads that by itself.
func buildpacksOf(request build.Request, dir string) (list, error) {
	app := request.App
	if said := app.Build.Pack.Buildpacks; len(said) > 0 {
		return translate("dokku.hcl", said)
	}
	if app.Project != nil && len(app.Project.Buildpacks) > 0 {
		return list{}, nil
	}
	said, err := readBuildpacks(filepath.Join(dir, buildpacksFile))
	if err != nil {
		return list{}, err
	}
	from := buildpacksFile
	if len(said) == 0 && app.AppJSON != nil {
		said, from = app.AppJSON.Buildpacks, "app.json"
	}
	found, err := translate(from, said)
	// The old buildpacks left the Procfile to the platform; here one more reads it.
	if err == nil && app.Procfile != nil && len(found.buildpacks) > 0 && allHeroku(found.buildpacks) {
		found.buildpacks = append(found.buildpacks, procfile)
	}
	return found, err
}

func allHeroku(ids []string) bool {
	for _, id := range ids {
		name, _, _ := strings.Cut(id, "@")
		if !strings.HasPrefix(name, "heroku/") || name == procfile {
			return false
		}
	}
	return true
}

// readBuildpacks reads a .buildpacks file: one a line, # begins a comment line.
func readBuildpacks(file string) ([]string, error) {
	text, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "read "+buildpacksFile, "%w", err)
	}
	defer func() { _ = text.Close() }()
	var said []string
	scanner := bufio.NewScanner(text)
	for scanner.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(scanner.Text(), "\ufeff"))
		if line != "" && !strings.HasPrefix(line, "#") {
			said = append(said, line)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, api.Errorf(api.BuildFailed, "read "+buildpacksFile, "%w", err)
	}
	return said, nil
}

// translate gives for each buildpack its Cloud Native one. What is none and has no
// known successor is api.InvalidManifest; all of them are named at once.
func translate(from string, said []string) (list, error) {
	found := list{from: from}
	var problems, hints []string
	for _, one := range said {
		id, note, problem, hint := translateOne(strings.TrimSpace(one))
		if problem != "" {
			problems = append(problems, problem)
			if !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
			continue
		}
		if note != "" {
			found.notes = append(found.notes, note)
		}
		if id != "" && !slices.Contains(found.buildpacks, id) {
			found.buildpacks = append(found.buildpacks, id)
		}
	}
	if len(problems) > 0 {
		return list{}, api.Errorf(api.InvalidManifest, "read the buildpacks of "+from, "%s", strings.Join(problems, "; ")).
			WithHint("%s", strings.Join(hints, "; "))
	}
	return found, nil
}

func translateOne(said string) (id, note, problem, hint string) {
	plain, version, _ := strings.Cut(said, "#")
	name := repositoryOf(plain)
	if instead, ok := nothing[name]; ok {
		return "", "", fmt.Sprintf("%s is no Cloud Native Buildpack, and none takes its place", said), instead
	}
	id, known := successors[name]
	switch {
	case known && version != "":
		note = fmt.Sprintf("%s: %s takes its place, in the version of the builder; %s is one of the old buildpack", said, id, version)
	case known && id != "" && id != said:
		note = said + ": " + id + " takes its place"
	case known:
	case strings.HasPrefix(said, "git@"), strings.HasPrefix(said, "git:"), strings.HasPrefix(said, "ssh:"), strings.Contains(said, "://") && !isArchive(said):
		return "", "", fmt.Sprintf("%s is no Cloud Native Buildpack that is known here", said),
			"write the id of one in the builder (heroku/nodejs, heroku/python …), an image (docker://registry/name) or an archive (https://….cnb or .tgz)"
	default:
		id = said
	}
	return id, note, "", ""
}

// isArchive says whether a URI leads to what pack can fetch.
func isArchive(said string) bool {
	scheme, rest, _ := strings.Cut(said, "://")
	switch scheme {
	case "docker", "urn", "file":
		return true
	case "http", "https":
		return slices.Contains([]string{".cnb", ".tgz", ".tar", ".gz"}, path.Ext(rest))
	}
	return false
}

// repositoryOf is OWNER/NAME of a buildpack's URL, in lower case: the key of the tables.
// The tarballs of Heroku's own registry are OWNER/NAME of short names.
func repositoryOf(url string) string {
	name := strings.ToLower(strings.TrimSpace(url))
	for _, prefix := range []string{"https://", "http://", "git://", "ssh://", "git+https://"} {
		name = strings.TrimPrefix(name, prefix)
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "git@"), "www.")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "/"), ".git")
	for _, host := range []string{"github.com/", "github.com:"} {
		if repository, ok := strings.CutPrefix(name, host); ok {
			return repository
		}
	}
	for _, store := range []string{"buildpack-registry.s3.amazonaws.com/buildpacks/", "codon-buildpacks.s3.amazonaws.com/buildpacks/"} {
		short, ok := strings.CutPrefix(name, store)
		if !ok {
			continue
		}
		short = strings.TrimSuffix(short, ".tgz")
		owner, base, _ := strings.Cut(short, "/")
		if owner == "heroku" {
			return owner + "/heroku-buildpack-" + base
		}
		return short
	}
	return name
}
