package command

import (
	"context"
	"fmt"

	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/api"
)

// sshKeysCommands are the rows of this noun.
func sshKeysCommands() []Command {
	return []Command{
		{"ssh-keys", "", "Print what can be done with ssh keys", sshKeysHelp},
		{"ssh-keys:add", "<name> [<file>]", "Let a public key deploy; from a file or stdin", sshKeysAdd},
		{"ssh-keys:help", "", "Print what can be done with ssh keys", sshKeysHelp},
		{"ssh-keys:list", "[--format <text|json>] [<name>]", "List the keys", sshKeysList},
		{"ssh-keys:remove", "<name> | --fingerprint <fingerprint>", "Remove a key", sshKeysRemove},
	}
}

// keys is the host's file of keys, with sshcommand's settings.
func (c *Call) keys() keys.File { return keys.FromEnvironment().File(c.Host.Places.Root) }

func sshKeysAdd(_ context.Context, call *Call) error {
	if err := call.words(1, 2, "ssh-keys:add <name> [<file>]"); err != nil {
		return err
	}
	shown, text, err := keys.Read(call.Args[1:], call.In)
	if err != nil {
		return api.Errorf(api.Usage, "read the key", "%w", err)
	}
	fingerprint, err := call.keys().Add(call.Args[0], shown, text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(call.Out, fingerprint)
	return err
}

func sshKeysRemove(_ context.Context, call *Call) error {
	byFingerprint := call.flag("--fingerprint")
	if err := call.words(1, 1, "ssh-keys:remove <name> | --fingerprint <fingerprint>"); err != nil {
		return err
	}
	if byFingerprint {
		return call.keys().RemoveFingerprint(call.Args[0])
	}
	return call.keys().Remove(call.Args[0])
}

func sshKeysList(_ context.Context, call *Call) error {
	format, err := call.takeValue("--format")
	if err != nil {
		return err
	}
	if err := call.words(0, 1, "ssh-keys:list [--format <text|json>] [<name>]"); err != nil {
		return err
	}
	if format == "" {
		format = "text"
	}
	name := append(call.Args, "")[0]
	return call.keys().Print(call.Out, name, format, keys.FromEnvironment().Lenient)
}

func sshKeysHelp(_ context.Context, call *Call) error {
	return helpOf(call, "ssh-keys[:COMMAND]", "Manage public ssh keys that are allowed to connect to this host", sshKeysCommands())
}
