package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestSwapServesAtOnce(t *testing.T) {
	w := start(t)
	w.wantAnswer("shop", 404, "no app has this name")
	for i := range 4 {
		text := fmt.Sprintf("generation %d", i)
		conf := w.file("shop", text)
		if err := w.Check(w.ctx, "shop", conf); err != nil {
			t.Fatal(err)
		}
		w.mustSwap("shop", conf, true)
		for range 20 {
			w.wantAnswer("shop", 200, text+" http shop.example.com")
		}
		w.mustSwap("shop", conf, false)
	}
	w.wantAnswer("other", 404, "")
	if err := w.Remove(w.ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	w.wantAnswer("shop", 404, "")
	before := w.workers()
	if err := w.Remove(w.ctx, "shop"); err != nil || !anyOf(before, w.workers()) {
		t.Errorf("the second removal: %v", err)
	}
}

func TestIncludedFileCountsAsChange(t *testing.T) {
	w := start(t)
	conf := w.file("shop", "one")
	w.mustSwap("shop", conf, true)
	put(t, filepath.Join(w.Places.NginxConfDir("shop"), "x.conf"), "add_header X-Y z;\n")
	w.mustSwap("shop", conf, true)
	w.mustSwap("shop", conf, false)
	// A reload that somebody else asks for: the record is not believed any more.
	if err := w.Reload(w.ctx, ""); err != nil {
		t.Fatal(err)
	}
	w.mustSwap("shop", conf, false)
	master, err := w.master()
	if err != nil {
		t.Fatal(err)
	}
	before := w.workers()
	if process, err := os.FindProcess(master); err != nil || process.Signal(syscall.SIGHUP) != nil {
		t.Fatal("signal nginx")
	}
	for anyOf(before, w.workers()) || len(w.workers()) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	w.mustSwap("shop", conf, true)
}

func TestFailingSwapRestoresByteForByte(t *testing.T) {
	w := start(t)
	good := append(w.file("shop", "good"), "# a hand's edit\n"...)
	w.mustSwap("shop", good, true)
	bad := append(w.file("shop", "bad"), "nonsense on;\n"...)
	wantError(t, w.Check(w.ctx, "shop", bad), api.ProxyFailed, "the app shop", w.Places.NginxConf("shop")+":", "nonsense")
	w.wantLive("shop", good)
	before := w.workers()
	_, err := w.swap("shop", bad, nil)
	wantError(t, err, api.ProxyFailed, "the app shop", fmt.Sprintf("%s:%d", w.Places.NginxConf("shop"), bytes.Count(bad, []byte("\n"))), "nonsense")
	w.wantLive("shop", good)
	w.wantAnswer("shop", 200, "good")
	if !anyOf(before, w.workers()) {
		t.Error("nginx was reloaded for what it had loaded")
	}
	hook := errors.New("a plugin refused")
	if _, err := w.swap("shop", w.file("shop", "other"), func() error { return hook }); !errors.Is(err, hook) {
		t.Errorf("got %v", err)
	}
	w.wantLive("shop", good)
	if _, err := w.swap("fresh", append(w.file("fresh", "x"), '}'), nil); err == nil {
		t.Error("a broken first file was taken")
	}
	if exists(w.Places.NginxConf("fresh")) {
		t.Error("the file of an app without one stayed")
	}
	w.mustSwap("shop", good, false)
}

func TestPluginEditInPreReload(t *testing.T) {
	w := start(t)
	conf := w.file("shop", "one")
	edit := func() error {
		live := w.Places.NginxConf("shop")
		text, err := os.ReadFile(live)
		if err != nil {
			return err
		}
		extra := fmt.Sprintf("server {\n    listen 127.0.0.1:%d;\n    server_name old.example.com;\n    return 302 /new;\n}\n", w.Config.Port)
		return os.WriteFile(live, append([]byte(extra), text...), 0o644)
	}
	for i, want := range []bool{true, false, false} {
		before := w.workers()
		if reloaded, err := w.swap("shop", conf, edit); err != nil || reloaded != want || anyOf(before, w.workers()) == want {
			t.Errorf("swap %d: %t, %v", i, reloaded, err)
		}
	}
	if code, _ := w.get("old.example.com"); code != 302 {
		t.Errorf("the plugin's server answers %d", code)
	}
	w.wantAnswer("shop", 200, "one")
}

// TestWithinPreReload: a plugin may have nginx tested and loaded while it is asked about a site:
// nobody waits for the lock that waits for the plugin. Others do.
func TestWithinPreReload(t *testing.T) {
	w := start(t)
	_, err := w.swap("shop", w.file("shop", "one"), func() error {
		within := agent.Within(context.Background(), "site:shop:1:1")
		if err := errors.Join(w.Test(within), w.Reload(within, "shop")); err != nil {
			return err
		}
		w.wantAnswer("shop", 200, "one")
		outside, cancel := context.WithTimeout(agent.Within(context.Background(), "shop:1:1"), 100*time.Millisecond)
		defer cancel()
		if err := w.Test(outside); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("somebody else gets %w", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBusyPort(t *testing.T) {
	w := start(t)
	good := w.file("shop", "good")
	w.mustSwap("shop", good, true)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	conf := append(w.file("shop", "new"), fmt.Sprintf("server {\n    listen %s;\n}\n", busy.Addr())...)
	if err := w.Check(w.ctx, "shop", conf); err != nil {
		t.Fatalf("nginx -t sees a busy port by now: %v", err)
	}
	_, err = w.swap("shop", conf, nil)
	wantError(t, err, api.ProxyFailed, "did not take", "bind() to "+busy.Addr().String())
	w.wantLive("shop", good)
	w.wantAnswer("shop", 200, "good")
	w.mustSwap("shop", good, false)
}

func TestConcurrentSwaps(t *testing.T) {
	w := start(t)
	var group sync.WaitGroup
	files := map[string][]byte{}
	for i := range 5 {
		app := fmt.Sprintf("app%d", i)
		files[app] = w.file(app, "text of "+app)
	}
	for app, conf := range files {
		group.Go(func() {
			other := &Nginx{Places: w.Places, Config: w.Config} // as another process has it
			if _, err := other.Swap(w.ctx, app, conf, w.kept(app), nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for app, conf := range files {
		w.wantAnswer(app, 200, "text of "+app)
		w.mustSwap(app, conf, false)
	}
}

var errCrash = errors.New("the process ends here")

// The process ends between the rename and the reload, or between the reload and
// the record; a fresh one restores.
func TestRestoreAfterACrash(t *testing.T) {
	w := start(t)
	good := w.file("shop", "good")
	w.mustSwap("shop", good, true)
	kept, conf := w.kept("shop"), w.file("shop", "new")
	again := func() *Nginx { return &Nginx{Places: w.Places, Config: w.Config} }

	if err := errors.Join(w.keep("shop", kept), writeFile(w.Places.NginxConf("shop"), conf)); err != nil {
		t.Fatal(err)
	}
	before := w.workers()
	for range 2 {
		if err := again().Restore(w.ctx, "shop", kept); err != nil {
			t.Fatal(err)
		}
		w.wantLive("shop", good)
	}
	if !anyOf(before, w.workers()) {
		t.Error("reloaded for what nginx had loaded")
	}

	crash := again()
	crash.Helper = func(ctx context.Context, verb string, args ...string) ([]byte, error) {
		text, err := w.Perform(ctx, verb, args...)
		if verb == VerbReload {
			err = errCrash
		}
		return text, err
	}
	if err := writeFile(w.Places.NginxConf("shop"), conf); err != nil {
		t.Fatal(err)
	}
	if err := crash.apply(w.ctx, "shop"); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	w.wantAnswer("shop", 200, "new")
	for range 2 {
		if err := again().Restore(w.ctx, "shop", kept); err != nil {
			t.Fatal(err)
		}
		w.wantLive("shop", good)
		w.wantAnswer("shop", 200, "good")
	}
	if err := again().Restore(w.ctx, "unheard", w.kept("unheard")); err != nil || exists(w.Places.NginxConf("unheard")) {
		t.Errorf("restore of what was never kept: %v", err)
	}
}

func TestHelper(t *testing.T) {
	w := start(t)
	var verbs []string
	n := &Nginx{Places: w.Places, Config: w.Config}
	n.Helper = func(ctx context.Context, verb string, args ...string) ([]byte, error) {
		verbs = append(verbs, verb)
		return w.Perform(ctx, verb, args...)
	}
	conf := w.file("shop", "x")
	if err := n.Check(w.ctx, "shop", conf); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Swap(w.ctx, "shop", conf, w.kept("shop"), nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{VerbTest, VerbTest, VerbReload}, verbs); diff != "" {
		t.Error(diff)
	}
	for _, bad := range [][]string{{VerbTest, "/etc"}, {VerbTest, w.Places.Data() + "/../x"}, {VerbReload, "x; reboot"}, {VerbReload}, {"nginx-stop"}, {VerbTest, "a", "b"}} {
		if _, err := w.Perform(w.ctx, bad[0], bad[1:]...); err == nil {
			t.Errorf("%v is carried out", bad)
		}
	}
}
