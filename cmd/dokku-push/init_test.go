package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInit: what init writes is what check takes; it says what it did, and does it once.
func TestInit(t *testing.T) {
	notInCI(t)
	dir := filepath.Join(t.TempDir(), "notes")
	tree(t, dir, map[string]string{
		"Dockerfile":   "FROM scratch\n",
		"Procfile":     "web: ./server $PORT\n",
		"package.json": `{"name": "@acme/Web_Shop"}`,
	})
	first := at(t, dir, "init", "--host", "dokku@example.com")
	for _, text := range []string{"guessed  app", "web-shop", "(name in package.json)", "(--host or DOKKU_HOST)", "\nwrote dokku.hcl\nwrote .github/workflows/deploy.yml\n", "to do: "} {
		if !strings.Contains(first.out, text) {
			t.Errorf("it does not say %q:\n%s", text, first.out)
		}
	}
	if first.exit != 0 || first.err != "" {
		t.Errorf("%+v", first)
	}
	check := at(t, dir, "check")
	if check.exit != 0 || !strings.HasPrefix(check.out, "web-shop (dokku.hcl) goes to dokku@example.com.") {
		t.Errorf("check: %+v", check)
	}
	tree(t, dir, map[string]string{"dokku.hcl": "app = \"mine\"\n"})
	again := at(t, dir, "init")
	if again.exit != 0 || !strings.Contains(again.out, "kept dokku.hcl: it is there already; --force replaces it\nkept .github/workflows/deploy.yml") {
		t.Errorf("a second time: %+v", again)
	}
	if text, err := os.ReadFile("dokku.hcl"); err != nil || string(text) != "app = \"mine\"\n" {
		t.Errorf("dokku.hcl was touched: %q, %v", text, err)
	}
	forced := at(t, dir, "init", "--force", "--ci", "none", "--app", "other")
	if forced.exit != 0 || !strings.Contains(forced.out, "replaced dokku.hcl\n") || strings.Contains(forced.out, "deploy.yml") {
		t.Errorf("by force: %+v", forced)
	}
	if text, err := os.ReadFile("dokku.hcl"); err != nil || !strings.Contains(string(text), "app = \"other\"\n") {
		t.Errorf("dokku.hcl by force: %q, %v", text, err)
	}
}

// TestInitBrokenTree: the files are written, and the mistakes that a push would refuse
// are shown with their places.
func TestInitBrokenTree(t *testing.T) {
	notInCI(t)
	got := in(t, map[string]string{"Dockerfile": "", "Procfile": "no colon here\n"}, "init", "--ci", "gitlab")
	if got.exit != 65 || !strings.Contains(got.out, "wrote dokku.hcl\nwrote .gitlab-ci.yml\n") || !strings.Contains(got.err, "Procfile:1:1: error: ") {
		t.Errorf("%+v", got)
	}
}
