package agent

import (
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// longestHookError is how much of a hook's failure a release keeps, in bytes.
const longestHookError = 300

// hooked notes what became of a hook: a script of the app, or the plugins of a trigger. Of
// one that runs for each container there is one result, with the time of all and the first
// failure. What only the core has a part in is no hook unless it fails.
func (r *run) hooked(name string, begun time.Time, err error) {
	result := api.HookResult{Name: name, DurationMS: time.Since(begun).Milliseconds(), Error: r.hookError(err)}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range r.hooks {
		if r.hooks[n].Name == name {
			r.hooks[n].DurationMS += result.DurationMS
			if r.hooks[n].Error == "" {
				r.hooks[n].Error = result.Error
			}
			return
		}
	}
	r.hooks = append(r.hooks, result)
}

// walked is hooked for the plugins of a trigger.
func (r *run) walked(trigger string, begun time.Time, err error) {
	if err != nil || len(r.Walk.Ships(trigger)) > 0 {
		r.hooked(trigger, begun, err)
	}
}

// hookError is a failure in one line, without the values of the app's config: a release is
// shown to whoever may see the app.
func (r *run) hookError(err error) string {
	if err == nil {
		return ""
	}
	text := strings.Join(strings.Fields(masked(api.AsError(err).Message, r.env())), " ")
	if len(text) > longestHookError {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:longestHookError], "")) + " …"
	}
	return text
}

// takeHooks returns the results so far, and begins anew.
func (r *run) takeHooks() []api.HookResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.hooks
	r.hooks = nil
	return taken
}
