package agent

import (
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestDeclaredOptions: a release document gives an app no more of the host than
// docker-options:add over ssh would, whoever wrote the client that sends it.
func TestDeclaredOptions(t *testing.T) {
	for option, refused := range map[string]bool{
		"--shm-size 256m": false, "--env 'A=two words'": false, "-v /srv/data:/data:ro": false, "--link db:db": false,
		"--privileged": true, "-v /:/host": true, "--env 'A=1' --privileged": true, "--env A=1 -v /etc:/x": true, "-iv /etc:/x": true, "--env A=1 evil:latest": true,
		"--pid=host": true, "'--privileged'": true, "--env 'open": true, "--env A=1\n--init": true, "": false,
		"--mount type=volume,source=v1,target=/x,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc": true,
	} {
		for _, declared := range []api.Declared{{DockerOptions: map[string][]string{"deploy": {option}}}, {DockerOptions: map[string][]string{"run": {"--init", option}}}} {
			if err := checkDeclared(api.ReleaseDocument{Declared: &declared}); (err != nil) != refused {
				t.Errorf("%q: %v", option, err)
			}
		}
	}
	for mount, refused := range map[string]bool{"/srv/data:/data": false, "cache:/cache:ro": false, "/:/host": true, "/var/run/docker.sock:/s": true, "x:/y --privileged": true, "../etc:/x": true} {
		if err := checkDeclared(api.ReleaseDocument{Declared: &api.Declared{Storage: []string{mount}}}); (err != nil) != refused {
			t.Errorf("storage %q: %v", mount, err)
		}
	}
}
