package scaffold

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/dokku-push/dokku-push/api"
)

var (
	//go:embed templates/github.yml
	githubTemplate string
	//go:embed templates/gitlab.yml
	gitlabTemplate string
)

// Where the CI systems look for their files, from the repository's folder.
const (
	githubFile = ".github/workflows/deploy.yml"
	gitlabFile = ".gitlab-ci.yml"
)

const releases = "https://github.com/dokku-push/dokku-push/releases/"

// workflow is what the templates are told. Every text has a plain form.
type workflow struct {
	App, Branch string
	Dir         string // the project's folder in the repository, empty: the same
	Base        string // URL of the folder that has the program and SHA256SUMS
	Host        bool   // dokku.hcl names it
	Engine      bool   // the build needs a Docker Engine
}

// chooseCI decides for which system a workflow is written, and drafts it.
func (l *look) chooseCI() error {
	system, from := l.options.CI, "--ci"
	if system == "" {
		system, from = l.guessCI()
	}
	switch system {
	case GitHub, GitLab:
	case None:
		return nil
	default:
		return api.Errorf(api.Usage, "", "--ci is github, gitlab or none, not %q", system)
	}
	l.guess("ci", system, from)
	if l.repository.prefix != "" && !isPlain(l.repository.prefix) {
		l.missing("write the CI workflow: the project's folder has a name that none can be made with")
		return nil
	}
	branch := l.repository.branch
	if branch == "" {
		branch = "main"
		l.guess("branch", branch, "git does not say")
	} else {
		l.guess("branch", branch, "git")
	}
	data := workflow{App: l.app.value, Branch: branch, Dir: l.repository.prefix, Base: downloads(l.options.Version),
		Host: l.inManifest(), Engine: l.build.Builder != "static" && l.build.Builder != "image"}
	file := File{Dir: l.options.Dir, Name: githubFile}
	if l.repository.prefix != "" {
		file.Dir = l.repository.top
	}
	text := githubTemplate
	if system == GitLab {
		file.Name, text = gitlabFile, gitlabTemplate
	}
	var err error
	file.Text, err = fill(text, data)
	if err != nil {
		return err
	}
	l.draft.Files = append(l.draft.Files, file)
	l.secrets(system)
	return nil
}

func (l *look) guessCI() (system, from string) {
	remote, onGitLab := l.repository.on("gitlab")
	switch {
	case l.has(gitlabFile):
		return GitLab, gitlabFile
	case l.hasFolder(".github"):
		return GitHub, ".github"
	case onGitLab:
		return GitLab, "git's remote " + remote
	}
	if remote, ok := l.repository.on("github"); ok {
		return GitHub, "git's remote " + remote
	}
	return GitHub, "nothing says otherwise"
}

// secrets says what CI needs that no file may hold.
func (l *look) secrets(system string) {
	key, pin := "the repository's secret DOKKU_SSH_KEY", "variable DOKKU_SSH_HOST_KEY"
	if system == GitLab {
		key = "the project's protected CI/CD variable DOKKU_SSH_KEY_FILE, of type File"
	}
	l.missing("make a key for CI (ssh-keygen -t ed25519 -N '' -f ~/.ssh/ci), put ~/.ssh/ci into " + key + ", and ~/.ssh/ci.pub onto the host: dokku-agent keys add ci < ci.pub")
	l.missing("pin the host's key, SHA256:…, as host_key in dokku.hcl or as the " + pin)
	switch {
	case l.inManifest():
	case l.host.value != "":
		l.missing(l.kept + " is kept and does not name the host: add host \"production\" { address = \"" + l.host.value + "\" }, or put it into CI's variable DOKKU_HOST")
	default:
		l.missing("put the host into CI's variable DOKKU_HOST, unless dokku.hcl names it")
	}
}

// releaseForm is a version that has a release to download.
var releaseForm = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`)

func downloads(version string) string {
	if releaseForm.MatchString(version) {
		return releases + "download/" + version
	}
	return releases + "latest/download"
}

func fill(text string, data workflow) (string, error) {
	// Other delimiters: the files are full of ${{ }}.
	parsed, err := template.New("workflow").Delims("<%", "%>").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("read the workflow's template: %w", err)
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, data); err != nil {
		return "", fmt.Errorf("fill the workflow's template: %w", err)
	}
	return filled.String(), nil
}
