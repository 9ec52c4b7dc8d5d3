package dockerfile

import (
	"net"
	"os"
	"strings"
	"time"

	"github.com/moby/buildkit/session/sshforward/sshprovider"

	"github.com/dokku-push/dokku-push/api"
)

// agentAnswers is how long an ssh-agent has to take a connection.
const agentAnswers = 5 * time.Second

// readSSH lets RUN --mount=type=ssh use this machine's ssh-agent: for the ids that
// dokku.hcl names, and for nobody else. A step can have things signed; the keys stay.
func (j *job) readSSH(getenv func(string) (string, bool)) error {
	ids := j.request.App.Build.SSH
	if len(ids) == 0 {
		return nil
	}
	const op = "reach the ssh-agent"
	const hint = "eval \"$(ssh-agent)\" && ssh-add, or leave out build { ssh }"
	socket, _ := getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return api.Errorf(api.Configuration, op, "dokku.hcl lets the build use it (%s), and SSH_AUTH_SOCK is not set", strings.Join(ids, ", ")).WithHint(hint)
	}
	asked, err := net.DialTimeout("unix", socket, agentAnswers)
	if err != nil {
		return api.Errorf(api.Configuration, op, "%w", err).WithHint(hint)
	}
	_ = asked.Close() // nothing was said
	var agents []sshprovider.AgentConfig
	for _, id := range ids {
		agents = append(agents, sshprovider.AgentConfig{ID: id, Paths: []string{socket}})
	}
	forward, err := sshprovider.NewSSHAgentProvider(agents)
	if err != nil {
		return api.Errorf(api.Configuration, op, "%w", err).WithHint(hint)
	}
	j.session = append(j.session, forward)
	return nil
}

// environment is getenv, or this process's own environment.
func environment(getenv func(string) (string, bool)) func(string) (string, bool) {
	if getenv == nil {
		return os.LookupEnv
	}
	return getenv
}
