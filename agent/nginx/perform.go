package nginx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// The verbs that need root where nginx runs as root.
const (
	// VerbTest tests the tree; with a folder below the agent's data it takes
	// APP.conf in it for that app's live file.
	VerbTest = "nginx-test"
	// VerbReload reloads and waits until the token it is given is served.
	VerbReload = "nginx-reload"
)

// longestTest bounds one nginx -t, which resolves upstream names.
const longestTest = time.Minute

// mostOutput is how much of nginx's messages is kept, in bytes.
const mostOutput = 64 << 10

var tokenText = regexp.MustCompile(`^[0-9a-f]{32}$`)

// answer is what a verb found out.
type answer struct {
	Passed bool   `json:"passed"`
	Output string `json:"output,omitempty"` // nginx's own words when not
}

// Perform carries out one verb; it is the root side of Helper. n must come from a
// configuration that only root can write. The arguments are checked: they name
// nothing outside of the agent's data. What nginx says is in the answer; an error
// is about not having been able to ask it.
func (n *Nginx) Perform(ctx context.Context, verb string, args ...string) ([]byte, error) {
	var found answer
	var err error
	switch {
	case verb == VerbTest && len(args) == 0:
		found, err = n.performTest(ctx, "")
	case verb == VerbTest && len(args) == 1 && inside(n.Places.Data(), args[0]):
		found, err = n.performTest(ctx, args[0])
	case verb == VerbReload && len(args) == 1 && tokenText.MatchString(args[0]):
		found, err = n.performReload(ctx, args[0])
	default:
		return nil, api.Errorf(api.Usage, "help nginx", "%q with %d arguments is no verb", verb, len(args))
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(found)
}

// ask carries a verb out here or by the helper.
func (n *Nginx) ask(ctx context.Context, verb string, args ...string) (answer, error) {
	perform := n.Perform
	if n.Helper != nil {
		perform = n.Helper
	}
	var found answer
	text, err := perform(ctx, verb, args...)
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return found, fmt.Errorf("read the helper's answer: %w", err)
	}
	return found, nil
}

// performTest runs nginx's own test on a copy of its main file.
func (n *Nginx) performTest(ctx context.Context, overrides string) (answer, error) {
	copied, err := n.copyTree(overrides)
	if err != nil {
		return answer{}, err
	}
	defer copied.remove()
	ctx, cancel := context.WithTimeout(ctx, longestTest)
	defer cancel()
	argv := []string{"-t", "-q", "-c", copied.main}
	if n.Config.Prefix != "" {
		argv = append(argv, "-p", n.Config.Prefix, "-e", "stderr")
	}
	output := &head{}
	command := exec.CommandContext(ctx, n.program(), argv...)
	command.Stdout, command.Stderr, command.WaitDelay = output, output, time.Second
	err = command.Run()
	if _, ran := errors.AsType[*exec.ExitError](err); err != nil && (!ran || ctx.Err() != nil) {
		return answer{}, api.Errorf(api.ProxyFailed, opTest, "%w", errors.Join(ctx.Err(), err)).WithHint("is nginx installed at %s?", n.program())
	}
	return answer{Passed: err == nil, Output: copied.originalNames(output.String())}, nil
}

// head keeps the beginning of what is written to it.
type head struct{ strings.Builder }

func (h *head) Write(text []byte) (int, error) {
	if room := mostOutput - h.Len(); room > 0 {
		h.Builder.Write(text[:min(room, len(text))])
	}
	return len(text), nil
}

// problem is why nginx does not take a tree.
type problem struct {
	App     string // whose file it is; empty when it is not an app's
	File    string
	Line    string
	Message string
}

func (p *problem) String() string {
	if p.File == "" {
		return p.Message
	}
	return fmt.Sprintf("%s:%s: %s", p.File, p.Line, p.Message)
}

// err is the problem for people.
func (p *problem) err(code api.Code) *api.Error {
	if p.App == "" {
		return api.Errorf(code, opTest, "%s", p).WithHint("nginx's own configuration has to be repaired on the host: nginx -t shows the same")
	}
	return api.Errorf(code, opTest, "the app %s: %s", p.App, p).
		WithHint("look at its nginx.conf.sigil, its certificate and its nginx.conf.d; nginx names the line in the rendered file")
}

var (
	complaint = regexp.MustCompile(`\[(?:emerg|alert|crit)\] (?:\d+#\d+: )?(.*)`)
	position  = regexp.MustCompile(`^(.*) in (/\S+):(\d+)$`)
)

// test tests the tree, with the overrides of a folder if one is named. A tree that
// nginx does not take is a problem, not an error.
func (n *Nginx) test(ctx context.Context, overrides ...string) (*problem, error) {
	found, err := n.ask(ctx, VerbTest, overrides...)
	if err != nil || found.Passed {
		return nil, err
	}
	p := &problem{Message: strings.TrimSpace(found.Output)}
	for line := range strings.Lines(found.Output) {
		said := complaint.FindStringSubmatch(strings.TrimSpace(line))
		if said == nil {
			continue
		}
		p.Message = said[1]
		if place := position.FindStringSubmatch(said[1]); place != nil {
			p.Message, p.File, p.Line = place[1], place[2], place[3]
		}
		break
	}
	p.App = n.appOf(p.File)
	if p.File == "" {
		mentioned := regexp.MustCompile(regexp.QuoteMeta(filepath.Clean(n.Places.Root)) + `/[^/\s"]+/`)
		p.App = n.appOf(mentioned.FindString(p.Message) + "nginx.conf")
	}
	return p, nil
}

// appOf names the app that a file belongs to.
func (n *Nginx) appOf(file string) string {
	below, err := filepath.Rel(n.Places.Root, file)
	if err != nil || !filepath.IsAbs(file) || strings.HasPrefix(below, "..") {
		return ""
	}
	app, _, nested := strings.Cut(below, "/")
	if !nested || !appName.MatchString(app) {
		return ""
	}
	return app
}
