package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/buildkitd"
	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/api"
)

// mostArguments is how much the root helper reads for a verb of nginx, in bytes.
const mostArguments = 16 << 10

// root is the root helper: the few verbs that sudoers lets the dokku user have. It
// believes the configuration that only root can write, and nothing of its caller's
// environment. A verb has no argument on the command line, where sudoers would have to
// allow a pattern: what it needs it reads from standard input and checks.
func (p *program) root(args []string) int {
	os.Clearenv()
	_ = os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin") // fails never for a valid name
	if len(args) != 1 {
		return p.usage()
	}
	if os.Geteuid() != 0 {
		return p.fail(api.Errorf(api.Refused, "help as root", "only root can"))
	}
	if err := p.performRoot(args[0]); err != nil {
		return p.fail(err)
	}
	return 0
}

func (p *program) performRoot(verb string) error {
	config, err := install.ReadConfig()
	if err != nil {
		return err
	}
	switch verb {
	case "map":
		return nft.Serve(p.ctx, p.in, p.out, config.Map)
	case verbBuildKit:
		return buildkitd.Serve(p.ctx, buildkitd.PlaceOf(install.Places(), agent.HostConfig{}), p.in, p.out)
	case nginx.VerbTest, nginx.VerbReload:
		arguments, err := readArguments(p.in)
		if err != nil {
			return err
		}
		said, err := (&nginx.Nginx{Places: install.Places(), Config: config.Nginx}).Perform(p.ctx, verb, arguments...)
		if err != nil {
			return err
		}
		_, err = p.out.Write(said)
		return err
	}
	return api.Errorf(api.Usage, "help as root", "%q is no verb", verb)
}

// readArguments reads a verb's arguments: one JSON list of strings and nothing more.
// Whether they are any good is for the verb to say.
func readArguments(in io.Reader) ([]string, error) {
	text, err := io.ReadAll(io.LimitReader(in, mostArguments+1))
	if err != nil {
		return nil, fmt.Errorf("read the arguments: %w", err)
	}
	if len(text) > mostArguments {
		return nil, api.Errorf(api.Refused, "read the arguments", "they are longer than %d bytes", mostArguments)
	}
	arguments := []string{}
	if err := json.Unmarshal(text, &arguments); err != nil {
		return nil, api.Errorf(api.Refused, "read the arguments", "not a list of words: %w", err)
	}
	return arguments, nil
}
