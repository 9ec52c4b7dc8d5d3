package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/sshsig"
	"github.com/dokku-push/dokku-push/api"
)

// signingCommands are the rows of this noun.
func signingCommands() []Command {
	return []Command{
		{"signing:add", "[--global|<app>]", "Let the keys of allowed_signers lines on standard input sign releases", signingAdd},
		{"signing:list", "[--global|<app>]", "List who may sign releases", signingList},
		{"signing:remove", "[--global|<app>] <name>|<fingerprint>", "Take a signer off the list", signingRemove},
		{"signing:report", "[<app>] [<flag>]", "Display the signing policy of one or more apps", signingReport},
		{"signing:set", "[--global|<app>] <key> [<value>]", "Set or clear a signing property: required true refuses what is not signed", signingSet},
	}
}

// mostSigners bounds an allowed_signers file, in bytes.
const mostSigners = 256 << 10

// onHost refuses what changes the policy over ssh: a key that deploys is what the policy
// is there to bound.
func (c *Call) onHost() error {
	if c.By.Fingerprint == "" {
		return nil
	}
	return api.Errorf(api.Refused, "", "the signing policy is changed on the host itself, not over ssh").
		WithHint("log in to the host and run the same command there, as root")
}

func signingSet(ctx context.Context, call *Call) error {
	if err := call.onHost(); err != nil {
		return err
	}
	truth := func(value string) error {
		if value != "true" && value != "false" {
			return api.Errorf(api.Usage, "", "required is true or false, not %q", value)
		}
		return nil
	}
	return call.set(ctx, "signing", map[string]check{"required": truth})
}

// signers changes the list of an app or the host.
func (c *Call) signers(app string, f func(lines []string) ([]string, error)) error {
	return c.change(app, func(now *agent.Settings) error {
		lines, err := f(linesOf(now.Properties[agent.AllowedSigners]))
		if err != nil {
			return err
		}
		delete(now.Properties, agent.AllowedSigners)
		if len(lines) > 0 {
			now.Properties[agent.AllowedSigners] = strings.Join(lines, "\n")
		}
		return nil
	})
}

func signingAdd(ctx context.Context, call *Call) error {
	err := call.onHost()
	if err != nil {
		return err
	}
	app, err := call.scope(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(call.In, mostSigners+1))
	if err != nil {
		return fmt.Errorf("read the signers: %w", err)
	}
	fresh, err := readSigners(string(text))
	if err != nil {
		return err
	}
	err = call.signers(app, func(lines []string) ([]string, error) {
		for _, line := range fresh {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		return lines, nil
	})
	if err != nil {
		return err
	}
	for _, line := range fresh {
		signer, _ := sshsig.Parse(line) // it was parsed a moment ago
		call.heading("%s may sign (%s)", signer.Principals, signer.Fingerprint())
	}
	return nil
}

// readSigners takes the lines of an allowed_signers file, all of them or none.
func readSigners(text string) ([]string, error) {
	if len(text) > mostSigners || strings.ContainsAny(text, "\r\x00") {
		return nil, api.Errorf(api.Usage, "", "that is no allowed_signers file")
	}
	var lines []string
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := sshsig.Parse(line); err != nil {
			return nil, api.Errorf(api.Usage, "", "line %d: %w", n+1, err)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, api.Errorf(api.Usage, "", "there is no signer on standard input").
			WithHint("signing:add APP < allowed_signers, lines of NAME KEYTYPE KEY as ssh-keygen(1) has them")
	}
	return lines, nil
}

func signingRemove(ctx context.Context, call *Call) error {
	err := call.onHost()
	if err != nil {
		return err
	}
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Please specify a signer's name or its key's fingerprint")
	}
	who, gone := call.Args[0], 0
	err = call.signers(app, func(lines []string) ([]string, error) {
		kept := slices.DeleteFunc(slices.Clone(lines), func(text string) bool {
			line, err := sshsig.Parse(text)
			return err == nil && (line.Principals == who || line.Fingerprint() == who)
		})
		if gone = len(lines) - len(kept); gone == 0 {
			return nil, api.Errorf(api.Precondition, "", "there is no signer %q", who).WithHint("signing:list shows who there is")
		}
		return kept, nil
	})
	if err != nil {
		return err
	}
	call.heading("%s may no longer sign", who)
	return nil
}

// signingList prints the list as a file that ssh-keygen -Y verify -f can read.
func signingList(ctx context.Context, call *Call) error {
	app, err := call.scope(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	policy, err := call.Host.PolicyFor(app)
	if err != nil {
		return err
	}
	for _, line := range policy.Allowed {
		if _, err := fmt.Fprintln(call.Out, line); err != nil {
			return err
		}
	}
	return nil
}

func signingReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "signing", func(app string, settings agent.Settings) ([]reportLine, error) {
		policy, err := call.Host.PolicyFor(app)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, text := range policy.Allowed {
			if line, err := sshsig.Parse(text); err == nil {
				names = append(names, line.Principals+" "+line.Fingerprint())
			} else {
				names = append(names, "(not readable)")
			}
		}
		rows := computed("Signing", "required", "false", settings, global, agent.SigningRequired)
		return append(rows, reportLine{"Signing allowed signers", strings.Join(names, ", ")}), nil
	})
}
