package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
)

// gitHostsCommands are the rows of git that have to do with other git hosts.
func gitHostsCommands() []Command {
	return []Command{
		{"git:allow-host", "<host>[:<port>]", "Take a git host's ssh keys for good, as they are now", gitAllowHost},
		{"git:auth", "<host> [<username> [<password>]]", "Log git in to a host over http(s), the password from standard input where it is no word; or out, without a user", gitAuth},
		{"git:generate-deploy-key", "", "Make the ssh key with which this host fetches from others", gitGenerateKey},
		{"git:public-key", "", "Print the public half of the ssh key with which this host fetches", gitPublicKey},
	}
}

func gitAllowHost(ctx context.Context, call *Call) error {
	if err := call.words(1, 1, "git:allow-host <host>[:<port>]"); err != nil {
		return err
	}
	host, port, err := receive.GitHost(call.Args[0])
	if err != nil {
		return err
	}
	added, err := receive.AllowHost(ctx, call.Host.Places, host, port)
	if err != nil {
		return err
	}
	call.say("Adding %s to known hosts", call.Args[0])
	for _, line := range added {
		fmt.Fprintln(call.Out, line)
	}
	return nil
}

// gitAuth never shows a password, nor hands it to a program as a word.
func gitAuth(ctx context.Context, call *Call) error {
	if len(call.Args) < 1 || len(call.Args) > 3 {
		return api.Errorf(api.Usage, "", "usage: dokku git:auth <host> [<username> [<password>]]")
	}
	host, port, err := receive.GitHost(call.Args[0])
	if err != nil {
		return err
	}
	if port != "" {
		return api.Errorf(api.Usage, "", "what is said to %s is said on all of its ports: name the host alone", host)
	}
	words := append(call.Args[1:], "", "")
	user, password := words[0], words[1]
	if user != "" && password == "" {
		text, err := io.ReadAll(io.LimitReader(call.In, 64<<10))
		if err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return api.Errorf(api.Usage, "", "Missing password for the user").WithHint("echo \"$PASSWORD\" | ssh … git:auth %s USER", host)
		}
	}
	if err := receive.Authenticate(ctx, call.Host.Places, host, user, password); err != nil {
		return err
	}
	if user == "" {
		call.say("Removing netrc auth entry for host %s", host)
	} else {
		call.say("Setting netrc auth entry for host %s", host)
	}
	return nil
}

func gitGenerateKey(ctx context.Context, call *Call) error {
	if err := call.noMore(); err != nil {
		return err
	}
	if err := receive.GenerateKey(ctx, call.Host.Places); err != nil {
		return err
	}
	call.say("Generated deploy key")
	return nil
}

func gitPublicKey(_ context.Context, call *Call) error {
	if err := call.noMore(); err != nil {
		return err
	}
	key, err := receive.PublicKey(call.Host.Places)
	if err != nil {
		return err
	}
	if key == "" {
		return api.Errorf(api.Precondition, "", "There is no deploy key").WithHint("git:generate-deploy-key makes one")
	}
	_, err = fmt.Fprintln(call.Out, key)
	return err
}
