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

// TestHideValues: no value of a variable is left, and nothing else is lost.
func TestHideValues(t *testing.T) {
	for options, want := range map[string]string{
		"--env A=hunter2":                               "--env A=<A>",
		"--env=A=hunter2 --shm-size 64m":                "--env=A=<A> --shm-size 64m",
		"-e A=hunter2 -eB=hunter2":                      "-e A=<A> -eB=<B>",
		`-e "A=hunter2 hunter2" --init`:                 "-e A=<A> --init",
		`-e A='hunter2 hunter2' -e B=hunter2`:           "-e A=<A> -e B=<B>",
		`--build-arg A=a=hunter2\ hunter2`:              "--build-arg A=<A>",
		`--env "A=hunter2 hunter2`:                      "--env A=<A>",
		"--env A --env-file x=y":                        "--env A --env-file x=y",
		"--log-opt max-size=10m":                        "--log-opt max-size=10m",
		"--log-opt splunk-token=hunter2":                "--log-opt splunk-token=<splunk-token>",
		"-v /data:/data --label com.example.a=b":        "-v /data:/data --label com.example.a=b",
		"--entrypoint e=x --expose 80 --env\tA=hunter2": "--entrypoint e=x --expose 80 --env\tA=<A>",
	} {
		if got := HideValues(options, func(key, _ string) string { return "<" + key + ">" }); got != want {
			t.Errorf("%s became %s, want %s", options, got, want)
		}
	}
}
