package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	proc "github.com/dokku-push/dokku-push/internal/run"
)

const sshcommandUsage = `Usage: sshcommand COMMAND

    create USER COMMAND                         make a user whose keys can only call a command
    acl-add USER NAME [FILE]                    let a public key in, from a file or stdin
    acl-remove USER NAME
    acl-remove-by-fingerprint USER FINGERPRINT
    list USER [NAME] [text|json]                also --format text|json
    help
    version
`

// sshcommand is the program of that name (PLUGIN-CONTRACT 3.1).
func (p *program) sshcommand(args []string) int {
	word := append(args, "help")[0]
	rest := args[min(1, len(args)):]
	switch {
	case word == "help" || word == "--help" || word == "-h":
		fmt.Fprint(p.out, sshcommandUsage)
		return 0
	case word == "version" || word == "--version" || word == "-v":
		fmt.Fprintf(p.out, "sshcommand %s\n", version)
		return 0
	case word == "create" && len(rest) == 2:
		return p.told("sshcommand", p.sshcommandCreate(rest[0], rest[1]))
	case word == "acl-add" && (len(rest) == 2 || len(rest) == 3),
		(word == "acl-remove" || word == "acl-remove-by-fingerprint") && len(rest) == 2:
		return p.told("sshcommand", p.sshcommandChange(word, rest))
	case word == "list" && len(rest) >= 1:
		return p.told("sshcommand", p.sshcommandList(rest))
	}
	fmt.Fprint(p.err, sshcommandUsage)
	return 1
}

// told prints an error and what to do; the exit code is 1, as sshcommand's is for all.
func (p *program) told(name string, err error) int {
	if err == nil {
		return 0
	}
	problem := api.AsError(err)
	fmt.Fprintf(p.err, "%s: %s\n", name, problem)
	if problem.Hint != "" {
		fmt.Fprintf(p.err, "  %s\n", problem.Hint)
	}
	return 1
}

// home is where a user's keys are. On an embedded host the one user is its owner.
func home(name string) (string, error) {
	places := placesFromEnvironment()
	if name == install.User && !isReal(places) {
		return places.Root, nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return "", api.Errorf(api.Usage, "find the user", "%w", err).WithHint("sshcommand create %s COMMAND, as root", name)
	}
	return account.HomeDir, nil
}

// onlyRoot refuses others where the keys are not the caller's own to change.
func onlyRoot(name string) error {
	if os.Geteuid() == 0 || name == install.User && !isReal(placesFromEnvironment()) {
		return nil
	}
	return api.Errorf(api.Refused, "", "This command must be run as root")
}

func (p *program) sshcommandChange(word string, args []string) error {
	if err := onlyRoot(args[0]); err != nil {
		return err
	}
	dir, err := home(args[0])
	if err != nil {
		return err
	}
	file := keys.FromEnvironment().File(dir)
	switch word {
	case "acl-remove":
		return file.Remove(args[1])
	case "acl-remove-by-fingerprint":
		return file.RemoveFingerprint(args[1])
	}
	shown, text, err := keys.Read(args[2:], p.in)
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	fingerprint, err := file.Add(args[1], shown, text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, fingerprint)
	return err
}

// sshcommandList reads USER [NAME] [FORMAT], in which an empty NAME stands for all, and
// Dokku's --format FORMAT.
func (p *program) sshcommandList(args []string) error {
	format, words := "text", []string{}
	for n := 0; n < len(args); n++ {
		if value, ok := strings.CutPrefix(args[n], "--format="); ok {
			format = value
		} else if args[n] == "--format" && n+1 < len(args) {
			n++
			format = args[n]
		} else {
			words = append(words, args[n])
		}
	}
	if len(words) == 0 || len(words) > 3 {
		return api.Errorf(api.Usage, "list the keys", "list USER [NAME] [text|json]")
	}
	if len(words) == 3 {
		format = words[2]
	}
	dir, err := home(words[0])
	if err != nil {
		return err
	}
	settings := keys.FromEnvironment()
	return settings.File(dir).Print(p.out, append(words, "")[1], format, settings.Lenient)
}

// sshcommandCreate makes the user where there is none, and says what its keys call.
func (p *program) sshcommandCreate(name, command string) error {
	const op = "create the user"
	if os.Geteuid() != 0 {
		return api.Errorf(api.Refused, "", "This command must be run as root")
	}
	if command == "" || strings.ContainsAny(command, "\x00\n\r") {
		return api.Errorf(api.Usage, op, "%q is no command", command)
	}
	dir, err := home(name)
	if err != nil {
		if err := p.addUser(name); err != nil {
			return err
		}
		if dir, err = home(name); err != nil {
			return err
		}
	}
	// What root makes in a folder becomes its owner's.
	if err := errors.Join(atomicfile.MkdirAll(filepath.Join(dir, ".ssh"), 0o700), os.Chmod(filepath.Join(dir, ".ssh"), 0o700)); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	list := keys.At(dir).Path
	if _, err := os.Lstat(list); errors.Is(err, os.ErrNotExist) {
		if err := atomicfile.CreateFile(list, nil, 0o600); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, ".sshcommand"), []byte(command+"\n"), 0o644); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// addUser makes a user with no password, which is not the same as a locked one.
func (p *program) addUser(name string) error {
	const op = "create the user"
	if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, ":/ \t\n") {
		return api.Errorf(api.Usage, op, "%q is no user's name", name)
	}
	program, err := exec.LookPath("useradd")
	if err != nil {
		return api.Errorf(api.Precondition, op, "%w", err).WithHint("apt-get install passwd")
	}
	command := proc.Cmd{Argv: []string{program, "--user-group", "--create-home", "--home-dir", "/home/" + name, "--shell", "/bin/bash", "--password", "*", "--", name},
		Stdout: p.err, Stderr: p.err}
	if err := command.Run(p.ctx); err != nil {
		return api.Errorf(api.Precondition, op, "%w", err)
	}
	return nil
}
