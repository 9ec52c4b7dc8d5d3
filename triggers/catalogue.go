package triggers

import (
	"cmp"
	"slices"
)

// This file says what a trigger of the catalogue is. The triggers themselves stand in
// three literal tables: catalogue_seed.go, catalogue_plugins.go, catalogue_core.go;
// docs/triggers.md and, with the examples, docs/plugins.md are made from them.

//go:generate go test -run ^(TestPage|TestGuide)$ -update .

// Trigger is one trigger: what it is called with, when, and what comes of it.
type Trigger struct {
	Name    string
	Args    []Arg
	Side    Side
	When    string // one sentence
	Stdin   Stdin
	Stdout  Stdout
	Failure Effect
	Section string // of PLUGIN-CONTRACT
}

// Arg is one argument of a trigger.
type Arg struct {
	Name    string // as documentation writes it; [x] may be missing, x... is any number
	Since   Since
	Meaning string
}

// Since is the contract that an argument belongs to.
type Since string

const (
	Seed Since = "seed"      // of the contract that this project's mission names, and still
	Head Since = "HEAD"      // added since; today's Dokku passes it
	Gone Since = "seed only" // today's Dokku has no such trigger any more
)

// Side is where a trigger runs, or who may fire it.
type Side string

const (
	Host    Side = "host"         // on the host, during a deploy or a command
	Build   Side = "build"        // where the image is built
	Receive Side = "receive"      // where a push over git is taken in
	Plugin  Side = "plugin"       // while plugins are installed, updated, removed
	Command Side = "command"      // around every command that somebody gives
	Never   Side = "never called" // known, and fired by nobody
)

// Stdin is what a hook can read.
type Stdin string

const (
	NoInput   Stdin = "none"      // nobody reads it: empty, or the caller's
	EmptyPipe Stdin = "empty"     // a pipe at its end: hooks that copy it must not wait
	Inherited Stdin = "inherited" // the caller's own, which the first reader drains
)

// Stdout is what becomes of what hooks print.
type Stdout string

const (
	Shown        Stdout = "shown"        // to whoever gave the command or pushes
	Ignored      Stdout = "ignored"      // nobody sees it
	Concatenated Stdout = "concatenated" // all of it in walk order, split into arguments with quotes honoured, never evaluated
	Value        Stdout = "value"        // all of it is one value; one plugin should answer
	Lines        Stdout = "lines"        // a value a line, those of all plugins together
)

// Effect is what comes of a hook that fails.
type Effect string

const (
	Ends     Effect = "ends it"  // the deploy, which is undone, or the command
	Warned   Effect = "warned"   // it goes on, with a warning
	Reported Effect = "reported" // nothing is undone any more; the deploy's exit code says it
	Dropped  Effect = "ignored"  // nobody learns of it
	Answer   Effect = "answer"   // the exit code is the answer: 0 is yes
)

// All returns the whole catalogue in the order of names.
func All() []Trigger {
	all := slices.Concat(seedTriggers, pluginTriggers, coreTriggers)
	slices.SortFunc(all, func(a, b Trigger) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Core returns the triggers that the core answers.
func Core() []Trigger { return slices.Clone(coreTriggers) }

// Lookup finds a trigger by its name.
func Lookup(name string) (Trigger, bool) {
	for _, table := range [][]Trigger{seedTriggers, pluginTriggers, coreTriggers} {
		if n := slices.IndexFunc(table, func(t Trigger) bool { return t.Name == name }); n >= 0 {
			return table[n], true
		}
	}
	return Trigger{}, false
}

// appArg is most triggers' first argument.
var appArg = Arg{Name: "APP", Since: Seed, Meaning: "the app's name"}
