// Package buildkitd runs BuildKit's daemon for one build of a host, in a control group with
// limits, so that the apps beside it stay responsive. Whoever wants a build asks (Start) a
// process that is root (Serve), over its standard streams: the daemon lives as long as the
// asker holds the other end, also when the asker is killed. What builds is another program;
// this package knows only the daemon.
package buildkitd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/cgroup"
)

// Off is the variable that, set to "off", has Dockerfiles built by the engine's own BuildKit.
const Off = "DOKKU_PUSH_BUILDKITD"

// Place is where a host has its daemon. Only root may write there.
type Place struct {
	Group  string   // the control group
	State  string   // the folder of its cache, which stays between builds
	Run    string   // the folder of its socket, gone with it
	Owner  string   // the unix group that may speak to it; empty: root alone
	Folder []string // where programs are looked for
}

// PlaceOf is a host's. On a real one root finds its programs where only root can have put
// them; an embedded one finds them on PATH, as everything.
func PlaceOf(places agent.Places, config agent.HostConfig) Place {
	if !config.Embedded {
		return Place{Group: "dokku-push-build", State: "/var/lib/dokku-push/buildkit", Run: "/run/dokku-push-build", Owner: "dokku",
			Folder: []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}}
	}
	sum := sha256.Sum256([]byte(places.Lib))
	name := "dokku-push-build-" + hex.EncodeToString(sum[:6])
	return Place{Group: name, State: filepath.Join(places.Data(), "buildkit"), Run: filepath.Join("/run", name), Folder: filepath.SplitList(os.Getenv("PATH"))}
}

// Ready tells why there can be no daemon with limits here: nil when there can.
func (p Place) Ready() error {
	if os.Getenv(Off) == "off" {
		return errors.New(Off + " says off")
	}
	if _, err := p.program("buildkitd"); err != nil {
		return err
	}
	if _, err := p.runtime(); err != nil {
		return err
	}
	_, err := cgroup.Find()
	return err
}

// Isolated tells whether the steps of a build get a network of their own. Without CNI's
// programs BuildKit lets them use the host's.
func (p Place) Isolated() bool { return p.network() != nil }

// runtime is the program that runs containers.
func (p Place) runtime() (string, error) {
	if path, err := p.program("buildkit-runc"); err == nil {
		return path, nil
	}
	return p.program("runc")
}

// program finds one that others cannot write.
func (p Place) program(name string) (string, error) {
	for _, dir := range p.Folder {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 && info.Mode().Perm()&0o022 == 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("this host has no program %s", name)
}

// network is the part of the daemon's configuration that gives steps a network of their own.
func (p Place) network() map[string]any {
	if _, err := p.program("buildkit-cni-bridge"); err == nil {
		return map[string]any{"networkMode": "bridge"}
	}
	for _, dir := range []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"} {
		all := Place{Folder: []string{dir}}
		var missing error
		for _, name := range []string{"bridge", "loopback", "host-local", "firewall"} {
			_, err := all.program(name)
			missing = errors.Join(missing, err)
		}
		if missing == nil {
			return map[string]any{"networkMode": "bridge", "cniBinaryPath": dir}
		}
	}
	return nil
}
