package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlugin: what is written is sound for shellcheck and passes its own test.
func TestPlugin(t *testing.T) {
	for _, name := range []string{"clock", "2-clocks"} {
		dir := filepath.Join(t.TempDir(), "dokku-"+name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		files, err := Plugin(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		var scripts []string
		for _, file := range files {
			if outcome, err := file.Write(false); err != nil || outcome != Written {
				t.Fatalf("%s: %s, %v", file.Name, outcome, err)
			}
			if !strings.Contains(filepath.Base(file.Name), ".") {
				scripts = append(scripts, filepath.Join(dir, file.Name))
			}
			if strings.Contains(file.Text, "@") && !strings.Contains(file.Text, `"$@"`) && !strings.Contains(file.Text, "[@]") {
				t.Errorf("%s has a word that was not replaced", file.Name)
			}
		}
		if said, err := exec.Command("shellcheck", append([]string{"-x"}, scripts...)...).CombinedOutput(); err != nil {
			t.Errorf("shellcheck: %v\n%s", err, said)
		}
		if said, err := exec.Command(filepath.Join(dir, "tests", "run")).CombinedOutput(); err != nil || !strings.HasSuffix(string(said), name+" works\n") {
			t.Errorf("its own test: %v\n%s", err, said)
		}
		listed, err := exec.Command(filepath.Join(dir, "tests", "run"), "--list").Output()
		if err != nil || len(strings.Fields(string(listed))) != len(scripts) {
			t.Errorf("tests/run lists %d scripts of %d, %v", len(strings.Fields(string(listed))), len(scripts), err)
		}
		if outcome, err := files[0].Write(false); err != nil || outcome != Kept {
			t.Errorf("a second time: %s, %v", outcome, err)
		}
	}
	for _, name := range []string{"", "-x", "../x", "Clock", "a b", strings.Repeat("x", 42)} {
		if _, err := Plugin(t.TempDir(), name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
