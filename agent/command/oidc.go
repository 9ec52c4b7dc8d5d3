package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent/oidc"
	"github.com/dokku-push/dokku-push/api"
)

// oidcCommands are the rows of this noun, and the command that the door calls.
func oidcCommands() []Command {
	return []Command{
		{api.AuthCommand, "", "Trade a CI job's token on standard input for an ssh certificate", authGitHub},
		{"oidc:add", "<app> --repository <owner/name> --repository-id <id> [--environment <name>] [--ref <ref>] [--subject <sub>] [--workflow <ref>] [--review]", "Let the CI jobs of a repository deploy an app, or its review apps, without a key", oidcAdd},
		{"oidc:close", "", "Let no CI job in without a key any more", oidcClose},
		{"oidc:list", "[<app>]", "List which CI jobs may deploy what", oidcList},
		{"oidc:open", "", "Let CI jobs trade their tokens for ssh certificates", oidcOpen},
		{"oidc:remove", "<app> [<number>]", "Take a rule for an app away, or all of them", oidcRemove},
		{"oidc:report", "[--format stdout|json]", "Display whom the host believes about CI jobs", oidcReport},
		{"oidc:set", "<key> [<value>]", "Set or clear audience, issuer, keys (a JWKS file) or minutes of CI's certificates", oidcSet},
	}
}

func (c *Call) desk() *oidc.Desk { return oidc.At(c.Host.Places) }

// locally refuses what bounds those who come over ssh.
func (c *Call) locally() error {
	if c.By.Fingerprint == "" {
		return nil
	}
	return api.Errorf(api.Refused, "", "who may deploy without a key is decided on the host itself, not over ssh").
		WithHint("log in to the host and run the same command there, as root")
}

// How long the door waits for a token, and how much it reads.
const (
	knocking    = 30 * time.Second
	mostKnocked = 64 << 10
)

// authGitHub answers with JSON whatever comes of it: who asks is a program.
func authGitHub(ctx context.Context, call *Call) error {
	ctx, cancel := context.WithTimeout(ctx, knocking)
	defer cancel()
	answer, err := call.trade(ctx)
	if err != nil {
		answer = api.AuthAnswer{Error: api.AsError(err)}
	}
	if err := json.NewEncoder(call.Out).Encode(answer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if answer.Error != nil {
		return &Exit{Code: 1}
	}
	return nil
}

func (c *Call) trade(ctx context.Context) (api.AuthAnswer, error) {
	if err := c.noMore(); err != nil {
		return api.AuthAnswer{}, err
	}
	desk := c.desk()
	leave, err := desk.Enter()
	if err != nil {
		return api.AuthAnswer{}, err
	}
	defer leave()
	type heard struct {
		text []byte
		err  error
	}
	said := make(chan heard, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(c.In, mostKnocked))
		said <- heard{text, err}
	}()
	var got heard
	select {
	case got = <-said:
	case <-ctx.Done():
		return api.AuthAnswer{}, api.Errorf(api.Usage, "read the token", "nothing was sent within %s", knocking)
	}
	if got.err != nil {
		return api.AuthAnswer{}, fmt.Errorf("read the token: %w", got.err)
	}
	var request api.AuthRequest
	if json.Unmarshal(got.text, &request) != nil { // its error would quote the text
		return api.AuthAnswer{}, api.Errorf(api.WrongProtocol, "read the token", "that is no request for a certificate").WithHint("dokku-push auth github sends one")
	}
	return desk.Exchange(ctx, request)
}

func oidcOpen(ctx context.Context, call *Call) error {
	err := call.locally()
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	if err := call.desk().Open(ctx, call.keys()); err != nil {
		return err
	}
	call.heading("CI jobs may trade their tokens for certificates")
	policy, err := call.desk().Policy()
	if err != nil {
		return err
	}
	if policy.Audience == "" {
		call.line("none is taken before `dokku oidc:set audience dokku-push:HOSTNAME`")
	}
	return nil
}

func oidcClose(ctx context.Context, call *Call) error {
	err := call.locally()
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	if err := call.desk().Close(ctx, call.keys()); err != nil {
		return err
	}
	call.heading("No CI job gets in without a key any more")
	return nil
}

// ruled takes the app that a rule is for: it need not exist yet, and may be a beginning.
func (c *Call) ruled() (string, error) {
	if c.App != "" {
		return c.App, nil
	}
	if len(c.Args) == 0 {
		return "", api.Errorf(api.Usage, "", "Please specify an app to run the command on")
	}
	app := c.Args[0]
	c.Args = c.Args[1:]
	return app, nil
}

func oidcAdd(ctx context.Context, call *Call) error {
	if err := call.locally(); err != nil {
		return err
	}
	rule := oidc.Rule{Review: call.flag("--review")}
	for _, one := range []struct {
		flag string
		into *string
	}{{"--repository", &rule.Repository}, {"--repository-id", &rule.RepositoryID}, {"--environment", &rule.Environment}, {"--ref", &rule.Ref},
		{"--subject", &rule.Subject}, {"--workflow", &rule.Workflow}} {
		value, given, err := call.option(one.flag)
		if err == nil && given && value == "" {
			err = api.Errorf(api.Usage, "", "%s wants a value", one.flag)
		}
		if err != nil {
			return err
		}
		*one.into = value
	}
	var err error
	if rule.App, err = call.ruled(); err == nil {
		err = call.noMore()
	}
	if err == nil {
		err = rule.Valid()
	}
	if err != nil {
		return err
	}
	err = call.desk().Change(ctx, func(now *oidc.Policy) error {
		if !slices.Contains(now.Rules, rule) {
			now.Rules = append(now.Rules, rule)
		}
		return nil
	})
	if err != nil {
		return err
	}
	what := map[bool]string{false: "deploy", true: "make review apps of"}[rule.Review]
	call.heading("Jobs of %s may %s %s", rule.Repository, what, rule.App)
	return nil
}

func oidcRemove(ctx context.Context, call *Call) error {
	if err := call.locally(); err != nil {
		return err
	}
	app, err := call.ruled()
	if err != nil {
		return err
	}
	which := 0
	if len(call.Args) > 0 {
		if which, err = strconv.Atoi(call.Args[0]); err != nil || which < 1 || len(call.Args) > 1 {
			return api.Errorf(api.Usage, "", "%q is no number of a rule", strings.Join(call.Args, " ")).WithHint("oidc:list %s numbers them", app)
		}
	}
	gone := 0
	err = call.desk().Change(ctx, func(now *oidc.Policy) error {
		number, before := 0, len(now.Rules)
		now.Rules = slices.DeleteFunc(now.Rules, func(rule oidc.Rule) bool {
			if rule.App != app {
				return false
			}
			number++
			return which == 0 || which == number
		})
		if gone = before - len(now.Rules); gone == 0 {
			return api.Errorf(api.Precondition, "", "there is no such rule for %s", app).WithHint("oidc:list shows what there is")
		}
		return nil
	})
	if err != nil {
		return err
	}
	call.heading("Took %d of the rules for %s away", gone, app)
	return nil
}

// oidcList prints the rules as oidc:add takes them, each with its number. Who may see an app
// is asked, as everywhere.
func oidcList(ctx context.Context, call *Call) error {
	app := ""
	if call.App != "" || len(call.Args) > 0 {
		var err error
		if app, err = call.ruled(); err == nil {
			err = call.noMore()
		}
		if err != nil {
			return err
		}
	}
	policy, err := call.desk().Policy()
	if err != nil {
		return err
	}
	number := map[string]int{}
	for _, rule := range policy.Rules {
		number[rule.App]++
		if app != "" && rule.App != app {
			continue
		}
		visible, err := call.Host.Visible(ctx, call.By, []string{rule.App})
		if err != nil {
			return err
		}
		if len(visible) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(call.Out, "%d %s\n", number[rule.App], rule); err != nil {
			return err
		}
	}
	return nil
}

func oidcReport(_ context.Context, call *Call) error {
	format, err := call.reportFormat()
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	policy, err := call.desk().Policy()
	if err != nil {
		return err
	}
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	minutes := policy.Minutes
	if minutes == 0 {
		minutes = int(oidc.MostLifetime / time.Minute)
	}
	rows := []reportLine{{"Oidc open", fmt.Sprint(call.desk().IsOpen(call.keys()))}, {"Oidc audience", or(policy.Audience, "(none: no token is taken)")},
		{"Oidc issuer", or(policy.Issuer, oidc.GitHub)}, {"Oidc keys", or(policy.Keys, "(fetched from the issuer)")}, {"Oidc minutes", strconv.Itoa(minutes)}, {"Oidc rules", strconv.Itoa(len(policy.Rules))}}
	if format == "json" {
		return call.printReport("", "oidc", "", format, rows)
	}
	call.heading("CI jobs without a key")
	for _, row := range rows {
		call.line("%-30s %s", row.name+":", row.value)
	}
	return nil
}

func oidcSet(ctx context.Context, call *Call) error {
	if err := call.locally(); err != nil {
		return err
	}
	call.flag("--global") // it is the host's whether that is said or not
	if len(call.Args) == 0 {
		return api.Errorf(api.Usage, "", "No property specified")
	}
	if len(call.Args) > 2 {
		return api.Errorf(api.Usage, "", "unexpected argument: %s", call.Args[2])
	}
	key, value := call.Args[0], strings.Join(call.Args[1:], "")
	err := call.desk().Change(ctx, func(now *oidc.Policy) error { return setOIDC(now, key, value) })
	if err != nil {
		return err
	}
	if value == "" {
		call.heading("Unsetting %s", key)
	} else {
		call.heading("Setting %s to %s", key, value)
	}
	return nil
}

// setOIDC gives one property of the policy its value; empty clears it.
func setOIDC(now *oidc.Policy, key, value string) error {
	switch key {
	case "audience":
		if strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }) || len(value) > 255 {
			return api.Errorf(api.Usage, "", "an audience is one word, such as dokku-push:example.com")
		}
		now.Audience = value
	case "issuer":
		if value != "" {
			if err := oidc.Issuer(value); err != nil {
				return err
			}
		}
		now.Issuer = value
	case "keys":
		if value != "" {
			text, err := os.ReadFile(value)
			if err == nil && !filepath.IsAbs(value) {
				err = fmt.Errorf("%s is no absolute path", value)
			}
			if err == nil {
				err = oidc.Keys(text)
			}
			if err != nil {
				return api.Errorf(api.Usage, "", "keys: %w", err)
			}
		}
		now.Keys = value
	case "minutes":
		now.Minutes = 0
		if value != "" {
			if err := number(1, int(oidc.MostLifetime/time.Minute))(value); err != nil {
				return err
			}
			now.Minutes, _ = strconv.Atoi(value) // it was read a moment ago
		}
	default:
		return api.Errorf(api.Usage, "", "Invalid property specified, valid properties include: audience, issuer, keys, minutes")
	}
	return nil
}
