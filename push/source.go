package push

import (
	"os/exec"
	"strings"
	"unicode"

	"github.com/dokku-push/dokku-push/api"
)

// The names under which CI systems tell commit and branch, in the order of
// CI-AND-MANIFEST-FACTS 4.1.
var (
	commitNames = []string{"CI_COMMIT", "PLUGIN_CI_COMMIT", "CIRCLE_SHA1", "CI_COMMIT_ID", "DRONE_COMMIT_SHA", "GITHUB_SHA",
		"CI_COMMIT_SHA", "SEMAPHORE_GIT_SHA", "TRAVIS_COMMIT"}
	branchNames = []string{"CI_BRANCH_NAME", "PLUGIN_CI_BRANCH_NAME", "CIRCLE_BRANCH", "CI_BRANCH", "DRONE_COMMIT_BRANCH", "GITHUB_HEAD_REF",
		"GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "SEMAPHORE_GIT_BRANCH", "TRAVIS_BRANCH", "CI_COMMIT_BRANCH"}
	runNames = []string{"CI_JOB_URL", "CI_PIPELINE_URL", "CIRCLE_BUILD_URL", "BUILD_URL", "DRONE_BUILD_LINK"}
)

// SourceOf says where the tree came from: CI's variables, else git, else nothing.
func SourceOf(dir string, getenv func(string) (string, bool)) api.Source {
	first := func(names []string) string {
		for _, name := range names {
			if value, ok := getenv(name); ok && value != "" {
				return value
			}
		}
		return ""
	}
	source := api.Source{Revision: first(commitNames), Branch: first(branchNames), RunURL: first(runNames)}
	if server, ok := getenv("GITHUB_SERVER_URL"); ok && server != "" && source.RunURL == "" {
		repository, _ := getenv("GITHUB_REPOSITORY")
		run, _ := getenv("GITHUB_RUN_ID")
		source.RunURL = server + "/" + repository + "/actions/runs/" + run
	}
	if source.Revision == "" {
		source.Revision = git(dir, "rev-parse", "--verify", "--quiet", "HEAD")
	}
	if !isHex(source.Revision) {
		source.Revision = ""
	}
	if source.Branch == "" && source.Revision != "" {
		source.Branch = git(dir, "symbolic-ref", "--short", "--quiet", "HEAD")
	}
	if source.Revision != "" {
		source.Author = plainLine(git(dir, "log", "-1", "--no-show-signature", "--format=%an <%ae>", source.Revision, "--"))
		source.Dirty = git(dir, "status", "--porcelain", "--untracked-files=no", "--", ".") != ""
	}
	return source
}

// labelsOf are what an image says of its source. Branch and CI run are not among them: the
// same commit would be another image in every run. They are in the release.
func labelsOf(source api.Source) map[string]string {
	labels := map[string]string{}
	if source.Author != "" {
		labels[api.LabelAuthors] = source.Author
	}
	if source.Dirty {
		labels[api.LabelDirty] = "true"
	}
	return labels
}

// sourceDate is the time that BuildKit gives an image and its files, in seconds since 1970,
// so that one tree gives one image: what SOURCE_DATE_EPOCH says or, for a BuildKit daemon,
// the time of the commit. Empty: there is none, or the engine's own BuildKit may be too old
// to know of it.
func sourceDate(dir string, source api.Source, getenv func(string) (string, bool)) string {
	if said, ok := getenv("SOURCE_DATE_EPOCH"); ok && said != "" {
		return said
	}
	if daemon, _ := getenv("BUILDKIT_HOST"); daemon == "" || source.Revision == "" || source.Dirty {
		return ""
	}
	return git(dir, "log", "-1", "--no-show-signature", "--format=%ct", source.Revision, "--")
}

// plainLine is a name as a label may hold it: one line of text, not too long.
func plainLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, ""))
	if runes := []rune(text); len(runes) > maxAuthor {
		text = string(runes[:maxAuthor])
	}
	return text
}

const maxAuthor = 200

// git asks git; a folder that is no repository, or a machine without git, says nothing.
func git(dir string, args ...string) string {
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// isHex tells a full commit id: 40 or 64 hex digits (ALSO-REFUSE 12).
func isHex(revision string) bool {
	return (len(revision) == 40 || len(revision) == 64) && strings.Trim(revision, "0123456789abcdef") == ""
}
