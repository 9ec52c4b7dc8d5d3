package report

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

const still = "       … still at: Build shop\n"

// page is what was written since it was last turned.
type page struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *page) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *page) turn() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.text.Reset()
	return p.text.String()
}

func started(title string) api.Event {
	return api.Event{Type: api.EventStep, Step: &api.Step{Name: "build", Title: title, Status: api.StepStarted}}
}

// TestHeartbeat: CI systems end a job that is silent; plain lines never are for more than
// about ten seconds.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out page
		p := Plain(&out)
		defer p.Close()
		said := func(after time.Duration, want string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := out.turn(); got != want {
				t.Errorf("it said %q, want %q", got, want)
			}
		}
		said(time.Minute, "") // nothing has begun
		p.Event(started("Build shop"))
		said(9500*time.Millisecond, "-----> Build shop\n")
		said(2*time.Second, still)
		said(8*time.Second, "")
		said(3*time.Second, still)

		p.Event(api.Event{Type: api.EventOutput, Output: &api.Output{Source: "build", Text: "x"}})
		said(9500*time.Millisecond, "       build: x\n")
		for range 40 { // a layer that moves is silence to a reader of lines
			p.Event(api.Event{Type: api.EventProgress, Progress: &api.Progress{Name: "a", Done: 1, Total: 2}})
			time.Sleep(100 * time.Millisecond)
		}
		said(0, still)
		p.Event(started("Ship to host"))
		said(12*time.Second, "-----> Ship to host\n       … still at: Ship to host\n")
		ended := func(title string, status api.StepStatus) {
			p.Event(api.Event{Type: api.EventStep, Step: &api.Step{Name: "x", Title: title, Status: status}})
			synctest.Wait()
			out.turn()
		}
		ended("Ship to host", api.StepDone)
		said(12*time.Second, still) // it began before and goes on
		ended("Build shop", api.StepFailed)
		said(12*time.Second, "       … still busy after: Build shop\n")
	})
}

// TestCloseEndsTheHeartbeat: nothing is drawn afterwards, and nobody is left behind
// (synctest would complain).
func TestCloseEndsTheHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out page
		p := Plain(&out)
		p.Event(started("Build shop"))
		p.Close()
		time.Sleep(time.Minute)
		if got := out.turn(); got != "-----> Build shop\n" {
			t.Errorf("it said %q", got)
		}
	})
}
