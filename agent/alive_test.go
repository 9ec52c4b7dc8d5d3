package agent

import (
	"os/exec"
	"testing"
)

// TestLives: a process is told from a later one that has its pid.
func TestLives(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = child.Process.Kill()
			_ = child.Wait()
		}
	}
	defer end()
	pid := child.Process.Pid
	now := born(pid)
	if now == "" || now == born(1) {
		t.Errorf("it was born at %q, the first process at %q", now, born(1))
	}
	for what, test := range map[string]struct {
		begin Begin
		want  bool
	}{
		"it runs":              {Begin{PID: pid, Born: now}, true},
		"of an older agent":    {Begin{PID: pid}, true},
		"of another boot":      {Begin{PID: pid, Born: "x" + now}, false},
		"of an earlier moment": {Begin{PID: pid, Born: now + "0"}, false},
		"our own":              {Begin{PID: ownPID(), Born: born(ownPID())}, false},
		"nobody's":             {Begin{}, false},
	} {
		if got := test.begin.lives(); got != test.want {
			t.Errorf("%s: %v", what, got)
		}
	}
	end()
	if (&Begin{PID: pid, Born: now}).lives() {
		t.Error("it has ended")
	}
}
