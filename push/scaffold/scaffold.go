// Package scaffold writes the first dokku.hcl and CI workflow of a tree. It guesses from
// the files that are there and from git's remotes, and says what it guessed and from
// where. It is not for trees that have both: what exists is left alone.
//
// Of what it reads only names, addresses, versions and paths of a plain form are ever
// written: no value of a file's settings, no script, no part of a URL that could be a
// password.
package scaffold

import (
	"context"
	"io/fs"
	"os"

	"github.com/dokku-push/dokku-push/api"
)

// ManifestName is the file that says what the others have no word for, TwinName the same
// in JSON. A tree has one of them at most.
const (
	ManifestName = "dokku.hcl"
	TwinName     = "dokku.hcl.json"
)

// The CI systems that a workflow can be written for; None is none.
const (
	GitHub = "github"
	GitLab = "gitlab"
	None   = "none"
)

// Options say what to write about which tree. The zero value of all but Dir is a guess.
type Options struct {
	Dir     string // the project's folder, absolute
	App     string // the app's name
	Host    string // [user@]host[:port]
	CI      string // GitHub, GitLab or None
	Version string // of dokku-push that CI installs: v1.2.3; anything else: the latest
	// Force takes an existing dokku.hcl for one that is to be replaced: nothing is
	// learnt from it.
	Force bool
	// Getenv is what env("X") in an existing dokku.hcl asks.
	Getenv func(string) (string, bool)
}

// Guess is one thing that was found out.
type Guess struct {
	What  string // app, host, build …
	Value string
	From  string // the file or setting that says so
}

// File is a file to write.
type File struct {
	Dir  string // absolute: the project's folder or, for CI, the repository's
	Name string // in it, with slashes
	Text string
	Mode fs.FileMode // 0: 0644
}

// Draft is everything that was found out and what follows from it. Nothing is written.
type Draft struct {
	Guesses []Guess
	Files   []File
	Missing []string // what a person still has to do, a sentence each
}

// Look reads the tree and drafts its files. An app or a host of the options that Dokku
// or ssh would not take is api.Usage; what is wrong in a file of the tree is no error,
// the file only says nothing.
func Look(ctx context.Context, o Options) (*Draft, error) {
	root, err := os.OpenRoot(o.Dir) // a link that leads out of the tree is not followed
	if err != nil {
		return nil, api.Errorf(api.Usage, "find the project", "%w", err)
	}
	defer root.Close()
	l := &look{options: o, fsys: root.FS(), repository: repositoryOf(ctx, o.Dir)}
	if err := l.all(); err != nil {
		return nil, err
	}
	return &l.draft, nil
}
