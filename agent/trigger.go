package agent

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// triggerTimeout is how long the plugins have for one trigger when the host's
// configuration says nothing else. It is there for those that would never end.
const triggerTimeout = 10 * time.Minute

// scheduler is what triggers call whoever runs the processes: this host's engine. A
// plugin for another one looks at this word and lets the trigger be.
const scheduler = "docker-local"

// trigger walks the plugins of a trigger. Who does not end in time is stopped; the error
// then says so, beside the name of the plugin.
func (h *Host) trigger(ctx context.Context, name string, args []string, streams Streams) error {
	most := triggerTimeout
	if h.Config.TriggerTimeout > 0 {
		most = time.Duration(h.Config.TriggerTimeout) * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it did not end within %s (trigger_timeout in the host's host.json)", most))
	defer cancel()
	return h.Walk.Trigger(ctx, name, args, streams)
}

// Fire walks a trigger of a command: what plugins print goes where the command prints.
func (h *Host) Fire(ctx context.Context, name string, args ...string) error {
	return h.fire(ctx, name, args...)
}

// Ask walks a trigger and returns what it printed, without blanks around it; of an answer
// longer than 64 KiB the beginning.
func (h *Host) Ask(ctx context.Context, name string, args ...string) (string, error) {
	var answer limitedBuffer
	if err := h.trigger(ctx, name, args, Streams{Out: &answer, Err: StreamsOf(ctx).Err}); err != nil {
		return "", api.Errorf(api.Unclassified, "run the trigger "+name, "%w", err)
	}
	return strings.TrimSpace(answer.String()), nil
}

// mostSaid is how many lines of one trigger's output a deploy shows and keeps in its
// journal: a plugin that prints without end fills no disk.
const mostSaid = 5000

// upTo hands on so many lines, then one that says that there is more.
func upTo(most int, say func(line string)) func(line string) {
	said := 0
	return func(line string) {
		switch said++; {
		case said <= most:
			say(line)
		case said == most+1:
			say(fmt.Sprintf("(what it prints after %d lines is not kept)", most))
		}
	}
}

// templateTrigger is how a plugin names a template of its own for an app's nginx file.
const templateTrigger = "nginx-app-template-source"

// largestTemplate is the most that such a file may hold, as the client's may.
const largestTemplate = 1 << 20

// template takes a plugin's template for a site, if one is named: before the app's own.
func (h *Host) template(ctx context.Context, site *Site) error {
	if !h.Walk.Has(templateTrigger) {
		return nil
	}
	path, err := h.Ask(ctx, templateTrigger, site.App, "app-config")
	if err != nil {
		return api.Errorf(api.ProxyFailed, "make the nginx file", "%w", err)
	}
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > largestTemplate) {
		err = fmt.Errorf("%s is no file of at most %d bytes", path, largestTemplate)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return api.Errorf(api.ProxyFailed, "read the answer of "+templateTrigger, "%w", err).WithHint("a plugin names the path of a template: is it there?")
	}
	site.Template = string(text)
	return nil
}
