package agent_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// What a plugin leaves in files that are not its own, to be told from what we write.
const (
	pluginEnv  = "BY_A_PLUGIN=\"1\"\n"
	pluginConf = "# by a plugin\n"
)

// misdeed is what a plugin does in one trigger.
type misdeed struct {
	name string
	do   func(ctx context.Context, w *world, streams agent.Streams) error
}

func misdeeds() []misdeed {
	write := func(text string, path func(places agent.Places) string) func(context.Context, *world, agent.Streams) error {
		return func(_ context.Context, w *world, _ agent.Streams) error {
			file, err := os.OpenFile(path(w.places()), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return nil // it is not there yet
			}
			defer file.Close()
			_, err = file.WriteString(text)
			return err
		}
	}
	return []misdeed{
		{"hangs", func(ctx context.Context, _ *world, _ agent.Streams) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}},
		{"prints a megabyte", func(_ context.Context, _ *world, streams agent.Streams) error {
			_, err := streams.Err.Write(bytes.Repeat(append(bytes.Repeat([]byte("x"), 999), '\n'), 1<<20/1000))
			return err
		}},
		{"prints a line of a megabyte", func(_ context.Context, _ *world, streams agent.Streams) error {
			_, err := streams.Err.Write(bytes.Repeat([]byte("x"), 1<<20))
			return err
		}},
		{"writes into ENV", write(pluginEnv, func(places agent.Places) string { return places.Env(app) })},
		{"writes into nginx.conf", write(pluginConf, func(places agent.Places) string { return places.NginxConf(app) })},
	}
}

// TestPlugins lets a plugin do what it should not in each trigger of a deploy, one that
// comes through and one that fails as late as it can.
func TestPlugins(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios()[1:3] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			m := newMatrix(t, s)
			type job struct {
				trigger string
				misdeed
				late bool
			}
			var jobs []job
			seen := map[string]bool{}
			for _, one := range m.did {
				trigger, ok := strings.CutPrefix(one.name, "trigger ")
				if !ok || seen[trigger] {
					continue
				}
				seen[trigger] = true
				for _, misdeed := range misdeeds() {
					jobs = append(jobs, job{trigger, misdeed, false})
					if strings.HasPrefix(misdeed.name, "writes") {
						jobs = append(jobs, job{trigger, misdeed, true})
					}
				}
			}
			all := len(jobs)
			jobs = sample(t, jobs, 4)
			m.each(len(jobs), func(n int) {
				job := jobs[n]
				m.plugin(t, job.trigger, job.misdeed, job.late)
			})
			m.tell(t)
			t.Logf("%s: %d triggers, %d of %d cells", s.name, len(seen), len(jobs), all)
		})
	}
}

// plugin runs the scenario with one plugin that misbehaves in one trigger.
func (m *matrix) plugin(t *testing.T, trigger string, bad misdeed, late bool) {
	c := cell{act: act{name: trigger}, how: mode(bad.name)}
	w := m.world.clone(t)
	w.plugin = func(ctx context.Context, name string, streams agent.Streams) error {
		if name != trigger {
			return nil
		}
		return bad.do(ctx, w, streams)
	}
	if late {
		c.how += ", then the commit fails"
		w.fails["set current"] = errFault
	}
	w.process(0).run(func(h *agent.Host) {
		verdict, err := m.act(context.Background(), h, m.request)
		if err != nil || late && verdict.OK {
			m.wrong(c, "%+v, %v", verdict, err)
		}
		if bad.name != "hangs" {
			return
		}
		if verdict.Error == nil || !strings.Contains(verdict.Error.Error(), "did not end within 1s") || !strings.Contains(verdict.Error.Error(), trigger) {
			m.wrong(c, "it says %v", verdict.Error)
		}
		if verdict.OK && verdict.Error != nil && verdict.Error.Code != api.HookFailed {
			m.wrong(c, "it says %+v", verdict)
		}
	})
	delete(w.fails, "set current")
	w.plugin = m.world.plugin
	m.forgive(t, w)
	m.recovered(t, w, c, hashNow(t, w))
}

// forgive takes what the plugin wrote out of everything, which may stay.
func (m *matrix) forgive(t *testing.T, w *world) {
	places := w.places()
	for _, file := range []string{places.Env(app), places.NginxConf(app), places.NginxLoaded(app)} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, by := range []string{pluginEnv, pluginConf} {
			text = bytes.ReplaceAll(text, []byte(by), nil)
		}
		must(t, os.WriteFile(file, text, 0))
		if len(text) == 0 && file == places.Env(app) {
			must(t, os.Remove(file))
		}
	}
	for id, c := range w.containers {
		c.Env = strings.Split(strings.Replace(strings.Join(c.Env, "\x00"), strings.ReplaceAll(strings.TrimSpace(pluginEnv), `"`, "")+"\x00", "", 1), "\x00")
		w.containers[id] = c
	}
}
