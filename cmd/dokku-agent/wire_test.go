package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestVariables: plugins have each variable that they are promised, a caller's value stays,
// and what is only the usual builder image is nobody's choice for a build on this host.
func TestVariables(t *testing.T) {
	promised := strings.Fields(`DOKKU_ROOT DOKKU_HOST_ROOT DOKKU_LIB_ROOT PLUGIN_PATH PLUGIN_AVAILABLE_PATH PLUGIN_ENABLED_PATH PLUGIN_CORE_PATH
		PLUGIN_CORE_AVAILABLE_PATH PLUGIN_CORE_ENABLED_PATH DOKKU_SYSTEM_USER DOKKU_SYSTEM_GROUP DOKKU_API_VERSION DOKKU_NOT_IMPLEMENTED_EXIT
		DOKKU_VALID_EXIT DOKKU_PID DOCKER_BIN DOKKU_LOGS_DIR DOKKU_LOGS_HOST_DIR DOKKU_EVENTS_LOGFILE DOKKU_DISTRO DOKKU_IMAGE DOKKU_CNB_BUILDER
		DOKKU_CONTAINER_LABEL DOKKU_GLOBAL_RUN_ARGS DOKKU_GLOBAL_BUILD_ARGS`)
	for _, name := range promised {
		t.Setenv(name, "")
	}
	t.Setenv("DOKKU_SHIM_BIN", "")
	t.Setenv("DOKKU_IMAGE", "of/caller")
	places := agent.Places{Root: "/home/x", Lib: "/lib/x", Logs: "/log/x"}
	exportVariables(places, false)
	for _, name := range promised {
		if os.Getenv(name) == "" {
			t.Errorf("plugins have no %s", name)
		}
	}
	if got := os.Getenv("DOKKU_IMAGE"); got != "of/caller" {
		t.Errorf("the caller's DOKKU_IMAGE is %q", got)
	}
	b := &builder{host: &agent.Host{Places: places}}
	names := func() bool {
		return slices.ContainsFunc(b.environment(), func(pair string) bool { return strings.HasPrefix(pair, "DOKKU_CNB_BUILDER=") })
	}
	if names() {
		t.Error("a build is told the usual builder as if somebody had chosen it")
	}
	t.Setenv("DOKKU_CNB_BUILDER", "of/host")
	if !names() {
		t.Error("a build does not hear of the builder that the host names")
	}
}
