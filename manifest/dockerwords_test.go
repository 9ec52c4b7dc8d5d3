package manifest

import (
	"strings"
	"testing"
)

// TestContainerOptions: what would hand the host to an app is found in every way in which
// docker reads it; what people write otherwise is fine.
func TestContainerOptions(t *testing.T) {
	for line, want := range map[string]string{
		"--shm-size 256m": "", "--link dokku.postgres.db:dokku-postgres-db": "", "--ulimit=nofile=12": "", "--init --read-only": "", "-p80:80 -e A=1": "",
		"-v /srv/a:/b": "", "-v=cache:/b:ro": "", "-v /data": "", "--mount type=bind,source=/srv/a,target=/b,readonly": "", "--mount type=volume,src=v1,dst=/b": "",
		"--memory-swap -1": "", "--oom-score-adj -500 --init": "", "--env --init": "", "--build-arg A=1 --no-cache": "", "-P": "", "": "",
		"--privileged": "a part of the host", "--privileged=true": "a part of the host", "--init --cap-add ALL": "a part of the host", "--use-api-socket": "a part of the host",
		"--nonsense": "not known to docker", "-q": "not known to docker", "--": "no option", "-": "no option", "busybox": "no option", "--init busybox": "no option", "-e A=1 busybox": "no option",
		"-it": "decides", "-iv /etc:/x": "decides", "-Pv/etc:/x": "decides", "--name x": "decides", "--network host": "decides",
		"-v /etc:/x": "belongs to the host", "-v/etc:/x": "belongs to the host", "--env A=1 -v /etc:/x": "belongs to the host", "-v ../../etc:/x": "not absolute", "-v ./etc:/x": "not absolute",
		"--mount type=bind,source=/etc,target=/x": "belongs to the host", "--mount type=bind,Source=/etc,target=/x": "belongs to the host",
		"--mount type=bind,source=v1,source=/etc,target=/x": "belongs to the host", "--mount type=bind,\"source=/etc\",target=/x": "quotes",
		"--mount type=volume,source=v1,target=/x,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc": "the field volume-opt",
		"--mount type=volume,source=v1,target=/x,volume-driver=local":                                           "the field volume-driver",
		"--pid host": "not the app's", "--security-opt apparmor=unconfined": "confines", "-l dokku=service": "Dokku's own",
	} {
		option, problem := ContainerOptions(strings.Fields(line))
		if (problem == "") != (want == "") || !strings.Contains(problem, want) {
			t.Errorf("%s: %q %q, want %q", line, option, problem, want)
		}
	}
}

func TestMountSources(t *testing.T) {
	got := MountSources(strings.Fields("-v /a:/b --env -v=x -v/c:/d:ro --volume e:/f -v /anonymous --mount type=bind,Source=/g,target=/h"))
	if want := "/a /c e /g"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
