package manifest

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// What may be said about containers: mounts and docker's own options. A repository
// describes its app; what would hand it the host is left to the host's owner, who
// says it with docker-options:add.

var (
	volumeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]+$`)
	optionForm = regexp.MustCompile(`^--?[a-z][a-z0-9-]*$`)
)

func mountOptions() []string {
	return []string{"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent", "shared", "rshared", "slave", "rslave", "private", "rprivate"}
}

// splitMount takes apart what checkMount has found sound.
func splitMount(text string) Mount {
	parts := strings.SplitN(text, ":", 3)
	mount := Mount{Host: parts[0], Container: parts[1]}
	if len(parts) == 3 {
		mount.Options = parts[2]
	}
	return mount
}

func checkMount(text string) (problem, hint string) {
	const write = "write HOST_PATH_OR_VOLUME:CONTAINER_PATH, such as /var/lib/dokku/data/storage/app:/data"
	if hostile(text) {
		return "holds characters that no mount has", write
	}
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return "is no mount", write
	}
	if problem, hint = mountSource(parts[0]); problem != "" {
		return problem, hint
	}
	if !path.IsAbs(parts[1]) || path.Clean(parts[1]) == "/" || strings.Contains(parts[1], "..") {
		return "has the container's path " + show(parts[1]), "write an absolute path below /, such as /data"
	}
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			if !slices.Contains(mountOptions(), option) {
				return "has the option " + show(option), didYouMean(option, mountOptions())
			}
		}
	}
	return "", ""
}

// mountSource refuses the parts of the host whose mount gives the host away.
func mountSource(source string) (problem, hint string) {
	const storage = "write a folder below /var/lib/dokku/data/storage, or a volume's name"
	if !strings.Contains(source, "/") {
		if !volumeForm.MatchString(source) {
			return "names no volume", storage
		}
		return "", ""
	}
	if !path.IsAbs(source) || strings.Contains(source, "..") {
		return "has a host's path that is not absolute", storage
	}
	clean := path.Clean(source)
	if clean == "/var/lib/dokku/data/storage" || strings.HasPrefix(clean, "/var/lib/dokku/data/storage/") {
		return "", ""
	}
	for _, closed := range [...]string{"/etc", "/root", "/home/dokku", "/var/lib/dokku", "/var/lib/docker", "/var/run", "/run", "/proc", "/sys", "/dev", "/boot"} {
		if clean == closed || strings.HasPrefix(clean, closed+"/") || clean == "/" || strings.HasPrefix(closed, clean+"/") {
			return "mounts " + show(source) + ", which belongs to the host itself", storage
		}
	}
	return "", ""
}

// checkMounts looks for two mounts on one path.
func checkMounts(list []string) (index int, problem, hint string) {
	taken := map[string]bool{}
	for i, text := range list {
		target := path.Clean(splitMount(text).Container)
		if taken[target] {
			return i, "mounts: two of them lead to " + show(target), "keep one of the two"
		}
		taken[target] = true
	}
	return 0, "", ""
}

// runOptions are docker's options for a container that an app may say itself.
const runOptions = `add-host annotation blkio-weight cap-drop cpu-period cpu-quota cpu-shares c cpus cpuset-cpus cpuset-mems dns dns-opt dns-option dns-search domainname
 entrypoint env e expose gpus group-add health-cmd health-interval health-retries health-start-interval health-start-period health-timeout hostname h
 init ip ip6 ipc label l link link-local-ip log-driver log-opt mac-address memory m memory-reservation memory-swap memory-swappiness mount net-alias
 network-alias no-healthcheck oom-score-adj pid pids-limit platform publish p publish-all P pull read-only security-opt shm-size stop-signal
 storage-opt stop-timeout sysctl tmpfs ulimit user u uts volume v workdir w`

// buildOptions are those for a build. A plugin that links a service says so to builds too.
const buildOptions = `add-host build-arg cache-from cache-to cpu-period cpu-quota cpu-shares c cpuset-cpus cpuset-mems env e file f label link memory m
 memory-swap network no-cache platform progress pull secret shm-size ssh target ulimit`

// hostOptions give a container what belongs to the host.
const hostOptions = `privileged cap-add device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops userns cgroup-parent
 cgroupns runtime volumes-from env-file label-file oom-kill-disable volume-driver isolation use-api-socket`

// ownOptions are what the deploy itself decides.
const ownOptions = `name restart network net cidfile rm detach d interactive i tty t attach a sig-proxy`

func checkRunOption(text string) (problem, hint string) { return checkOption(text, runOptions) }

func checkBuildOption(text string) (problem, hint string) { return checkOption(text, buildOptions) }

func checkOption(text, allowed string) (problem, hint string) {
	if hostile(text) {
		return "holds $( ), a backtick or a control character", "write the value out: no shell reads it"
	}
	flag, argument := cutOption(text)
	if !optionForm.MatchString(flag) {
		return "is no option of docker", "write one option, such as --shm-size 256m"
	}
	name := strings.TrimLeft(flag, "-")
	known := strings.Fields(allowed)
	switch {
	case strings.Contains(argument, " --") && !strings.ContainsAny(argument, `"'`):
		return "holds more than one option", "write a text for each"
	case slices.Contains(known, name):
		return optionValue(name, argument)
	case slices.Contains(strings.Fields(hostOptions), name):
		return "gives the app a part of the host", "its owner can say so there, with docker-options:add"
	case slices.Contains(strings.Fields(ownOptions), name):
		return "is what the deploy itself decides", "take it out"
	}
	long := slices.DeleteFunc(known, func(word string) bool { return len(word) == 1 })
	if meant := closest(name, long); meant != "" {
		return "is not known to docker", "did you mean --" + meant + "?"
	}
	return "is not known to docker", "write an option of docker, such as --shm-size 256m"
}

// cutOption parts an option from its value.
func cutOption(text string) (flag, argument string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexAny(text, " \t="); i >= 0 {
		return text[:i], strings.TrimSpace(text[i+1:])
	}
	return text, ""
}

// optionValue looks at values that matter to the host.
func optionValue(name, argument string) (problem, hint string) {
	const owner = "its owner can say so there, with docker-options:add"
	plain := strings.Trim(argument, `"'`)
	switch name {
	case "pid", "ipc", "uts", "network":
		if plain == "host" || strings.HasPrefix(plain, "container:") {
			return "shares what is not the app's", owner
		}
	case "security-opt":
		if strings.Contains(plain, "unconfined") || strings.Contains(plain, "disable") {
			return "takes away what confines the container", owner
		}
	case "label", "l":
		if strings.HasPrefix(plain, "com.dokku.") || plain == "dokku" || strings.HasPrefix(plain, "dokku=") {
			return "sets a label of Dokku's own", "take it out"
		}
	case "volume", "v":
		if !strings.Contains(plain, ":") && path.IsAbs(plain) && !strings.Contains(plain, "..") {
			return "", "" // a volume without a name
		}
		if problem, hint = checkMount(plain); problem != "" {
			return problem, hint
		}
	case "mount":
		return mountFields(plain)
	}
	return "", ""
}

// hostile finds what a shell or a line would make more of.
func hostile(text string) bool {
	return strings.Contains(text, "$(") || strings.Contains(text, "`") || strings.ContainsFunc(text, unicode.IsControl)
}
