package triggers

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mandatory are the triggers of the seed's page: 46 names, and `commands help`.
const mandatory = `post-config-update bind-external-ip check-deploy core-post-deploy dependencies
deployed-app-image-tag deployed-app-image-repo deployed-app-repository
docker-args-build docker-args-deploy docker-args-run git-post-pull git-pre-pull install
nginx-hostname nginx-pre-reload post-build-buildpack post-build-dockerfile post-create post-delete
post-deploy post-domains-update post-extract post-proxy-ports-update
post-release-buildpack post-release-dockerfile post-stop pre-build-buildpack pre-build-dockerfile
pre-delete pre-deploy pre-receive-app pre-release-buildpack pre-release-dockerfile
pre-disable-vhost pre-enable-vhost post-certs-update post-certs-remove receive-app receive-branch
retire-container-failed tags-create tags-destroy uninstall update user-auth`

// further are those that plugins in the wild ship, fire or ask.
const further = `post-app-clone-setup post-app-rename-setup pre-restore scheduler-pre-restore pre-start
service-list report pre-build post-build docker-args cron-entries post-release-builder pre-release-builder
builder-dokku-image builder-create-dokku-image post-app-clone post-app-rename app-urls domains-add
scheduler-deploy scheduler-run scheduler-stop scheduler-logs-failed scheduler-tags-create scheduler-tags-destroy
pre-release post-release post-domain-update trigger service-action user-auth-app user-auth-service ports-get
proxy-build-config cron-write config-get config-get-global ports-get-available proxy-type proxy-is-enabled
network-get-listeners resource-get-property app-list app-exists app-create app-destroy app-maybe-create app-restart
scheduler-detect scheduler-is-deployed scheduler-app-status proxy-enable proxy-disable proxy-clear-config
ports-get-property ports-configure ports-set-detected ports-clear certs-exists certs-get certs-set certs-remove
certs-force domains-list domains-urls domains-vhost-enabled domains-enable domains-disable config-set config-export
network-get-property network-get-ipaddr network-write-ipaddr network-write-port network-get-static-listeners
network-config-exists ps-current-scale ps-can-scale ps-set-scale ps-get-property procfile-exists procfile-get-command
checks-get-property git-get-property builder-get-property cron-get-property logs-get-property release-and-deploy deploy
nginx-app-template-source nginx-dokku-template-source caddy-template-source haproxy-template-source
openresty-template-source traefik-template-source vector-template-source`

func TestCatalogue(t *testing.T) {
	names := strings.Fields(mandatory)
	if len(names) != 46 {
		t.Fatalf("the list has %d names, want 46", len(names))
	}
	names = append(names, "commands help")
	for _, name := range names {
		if found, ok := Lookup(name); !ok || found.Section != "4.1" {
			t.Errorf("the seed's trigger %s: found %t, section %q", name, ok, found.Section)
		}
	}
	for _, name := range strings.Fields(further) {
		if _, ok := Lookup(name); !ok {
			t.Errorf("the trigger %s is not in the catalogue", name)
		}
	}
	if _, ok := Lookup("nobody"); ok {
		t.Error("found a trigger that is none")
	}
	seen := map[string]bool{}
	for _, one := range All() {
		if seen[one.Name] {
			t.Errorf("%s stands twice", one.Name)
		}
		seen[one.Name] = true
		if one.Section == "4.1" && !slices.Contains(names, one.Name) {
			t.Errorf("%s is none of the seed's triggers", one.Name)
		}
		if one.Side == "" || one.Stdin == "" || one.Stdout == "" || one.Failure == "" || one.Section == "" || !strings.HasSuffix(one.When, ".") {
			t.Errorf("%s is not described in full: %+v", one.Name, one)
		}
		for _, arg := range one.Args {
			if arg.Name == "" || arg.Since == "" || arg.Meaning == "" {
				t.Errorf("%s: the argument %+v is not described in full", one.Name, arg)
			}
		}
	}
	if names := All(); !slices.IsSortedFunc(names, func(a, b Trigger) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("All is not in the order of names")
	}
}

// TestFired reads the sources of the agent and the client: every trigger that they name when
// they walk is in the catalogue.
func TestFired(t *testing.T) {
	fired := map[string]string{}
	for _, room := range []string{"agent", "build", "push", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if name, ok := firedBy(node); ok {
					fired[name] = path
				}
				return true
			})
			return nil
		})
		must(t, err)
	}
	if len(fired) < 15 {
		t.Errorf("found only %d triggers that are fired: %v", len(fired), fired)
	}
	for name, path := range fired {
		if _, ok := Lookup(name); !ok {
			t.Errorf("%s fires %s, which is not in the catalogue", path, name)
		}
	}
}

// firedBy finds the literal name in a call that walks: x.Walk.Trigger(ctx, "name", ...),
// x.Walk.Ships("name"), r.fire(ctx, code, "name", ...), r.ask(ctx, code, "name", ...).
func firedBy(node ast.Node) (string, bool) {
	call, ok := node.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Trigger", "Ships", "Has", "fire", "ask", "trigger"}, method.Sel.Name) {
		return "", false
	}
	for _, arg := range call.Args {
		if text, ok := arg.(*ast.BasicLit); ok && text.Kind == token.STRING {
			name, err := strconv.Unquote(text.Value)
			return name, err == nil
		}
	}
	return "", false
}

var update = flag.Bool("update", false, "write docs/triggers.md")

// TestPage keeps docs/triggers.md what the catalogue says, byte by byte.
func TestPage(t *testing.T) {
	file := filepath.Join("..", "docs", "triggers.md")
	want := page()
	if *update {
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(want), 0o644))
	}
	got, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/triggers.md is not what the catalogue says; run `go generate ./triggers`:\n%s", diff)
	}
}

const pageHead = `# Triggers

This page is made from the catalogue in triggers/catalogue_*.go by ` + "`go generate ./triggers`" + `; change it there.

A trigger is an executable file of that name in a plugin's folder. Every enabled plugin that has it is asked, in the
order of names by bytes, the core at its plugins' places; all share one stdin, what they print stands in that order, and
the first that fails ends the walk with its exit code. A file that is not executable is named on stderr and passed over.

**Side**: where it runs. **Stdin**: ` + "`empty`" + ` is a pipe at its end, ` + "`inherited`" + ` the caller's own. **Stdout**: ` + "`shown`" + ` to
whoever gave the command, ` + "`concatenated`" + ` and split into arguments, a ` + "`value`" + `, or ` + "`lines`" + ` of values. **Failure**: whether a
hook's exit code ` + "`ends`" + ` the deploy or command, is ` + "`warned`" + ` of, is ` + "`reported`" + ` when nothing is undone any more, is
` + "`ignored`" + `, or is the ` + "`answer`" + `. Of the arguments, [x] may be missing, x... is any number; *HEAD* marks what Dokku added since
the contract of 2017, *seed only* what it has dropped.
`

// page renders the catalogue: what a host must fire first, then the rest.
func page() string {
	var text strings.Builder
	text.WriteString(pageHead)
	for _, part := range []struct {
		title string
		table []Trigger
	}{
		{"The triggers of the contract", seedTriggers},
		{"Further triggers of a deploy, and those that plugins ship or fire", pluginTriggers},
		{"What the core answers", coreTriggers},
	} {
		fmt.Fprintf(&text, "\n## %s\n\n", part.title)
		for _, one := range part.table {
			fmt.Fprintf(&text, "- [`%s`](#%s)\n", one.Name, strings.ReplaceAll(one.Name, " ", "-"))
		}
		for _, one := range part.table {
			describe(&text, one)
		}
	}
	return text.String()
}

func describe(text *strings.Builder, one Trigger) {
	fmt.Fprintf(text, "\n### %s\n\n%s\n\n", one.Name, one.When)
	fmt.Fprintf(text, "| Side | Stdin | Stdout | Failure |\n|---|---|---|---|\n| %s | %s | %s | %s |\n", one.Side, one.Stdin, one.Stdout, one.Failure)
	if len(one.Args) == 0 {
		text.WriteString("\nNo arguments.\n")
		return
	}
	text.WriteString("\n")
	for n, arg := range one.Args {
		since := ""
		if arg.Since != Seed {
			since = " *" + string(arg.Since) + "*"
		}
		fmt.Fprintf(text, "%d. `%s`%s %s\n", n+1, arg.Name, since, arg.Meaning)
	}
}
