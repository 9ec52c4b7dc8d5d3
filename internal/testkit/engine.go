package testkit

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// Engine is a client of a Docker Engine that answers. When none does,
// scripts/setup.sh installs and starts one.
func Engine(t testing.TB) *client.Client {
	t.Helper()
	engine, err := client.New(client.FromEnv)
	must(t, "make an engine client", err)
	t.Cleanup(func() { _ = engine.Close() })
	if answers(engine) {
		return engine
	}
	setup := exec.Command(filepath.Join(Root(t), "scripts", "setup.sh"), "test")
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("set up the engine: %v\n%s", err, out)
	}
	if !answers(engine) {
		t.Fatal("the engine does not answer after scripts/setup.sh")
	}
	return engine
}

func answers(engine *client.Client) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	return err == nil
}
