package agent

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// smallestMemory is the least that an engine takes as a limit, in bytes.
const smallestMemory = 6 << 20

// ParseMemory reads an amount of memory as docker and Dokku write it: a number with b,
// k, m or g behind it, in bytes. A bare number is mebibytes, as in resource:limit, unless
// it is far too large for that: then it is bytes, as dokku.hcl's are kept.
func ParseMemory(text string) (int64, error) {
	word := strings.TrimSpace(strings.ToLower(text))
	digits := strings.TrimRight(word, "bikmg")
	unit := strings.TrimSuffix(strings.TrimSuffix(word[len(digits):], "b"), "i")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(digits, "+") {
		return 0, memoryError(text)
	}
	shift := 0
	switch {
	case unit == "k":
		shift = 10
	case unit == "m":
		shift = 20
	case unit == "g":
		shift = 30
	case unit != "":
		return 0, memoryError(text)
	case word == digits && n < smallestMemory:
		shift = 20
	}
	if n > math.MaxInt64>>shift {
		return 0, memoryError(text)
	}
	return n << shift, nil
}

func memoryError(text string) error {
	return api.Errorf(api.Usage, "read an amount of memory", "%q is none", text).WithHint("write 512m or 2g; a bare number is mebibytes")
}

// resource is a property of resource:limit or resource:reserve: the process type's own,
// else the one for all.
func resource(settings Settings, process, key string) string {
	if value := settings.Properties[processProperty("resource", process, key)]; value != "" {
		return value
	}
	return settings.Properties[processProperty("resource", anyProcess, key)]
}

// limits are what a process type may use at most; 0: no limit.
func limits(settings Settings, process string) (memory, nanoCPUs int64) {
	memory, _ = ParseMemory(resource(settings, process, "limit.memory"))
	cpus, _ := strconv.ParseFloat(resource(settings, process, "limit.cpu"), 64)
	return memory, int64(cpus * 1e9)
}

// limitArgs are the resources that only docker's own words can say.
func limitArgs(settings Settings, process string) []string {
	var args []string
	for _, word := range []struct{ key, option string }{{"limit.memory-swap", "--memory-swap"}, {"limit.nvidia-gpu", "--gpus"}, {"reserve.memory", "--memory-reservation"}} {
		value := resource(settings, process, word.key)
		if value == "" {
			continue
		}
		if bytes, err := ParseMemory(value); err == nil && word.option != "--gpus" {
			value = strconv.FormatInt(bytes, 10) + "b"
		}
		args = append(args, word.option+"="+value)
	}
	return args
}

// optionsOf are an app's docker options for a phase of a process type: those for all,
// then its own.
func optionsOf(settings Settings, process, phase string) ([]string, error) {
	args, err := declaredArgs(settings, processProperty("docker-options", anyProcess, phase))
	if err != nil || process == "" {
		return args, err
	}
	own, err := declaredArgs(settings, processProperty("docker-options", process, phase))
	return slices.Concat(args, own), err
}

// logArgs are the docker options of logs:set.
func logArgs(settings Settings) []string {
	if size := settings.Properties["logs/max-size"]; size != "" && size != "unlimited" {
		return []string{"--log-opt=max-size=" + size}
	}
	return nil
}

// inherited are the properties that an app takes from the host where it has none itself.
var inherited = []string{"checks/default-wait", "checks/wait-to-retire", "logs/max-size", "scheduler/shell", "registry/image-repo-template", "registry/server",
	"proxy/proxy-port", "proxy/proxy-ssl-port", "network/attach-post-create", "network/attach-post-deploy", "network/bind-all-interfaces", "network/initial-network", "network/tld",
	"git/deploy-branch", "git/keep-git-dir", keepReleases, keepBytes, SigningRequired, AllowedSigners, ReviewMax, ReviewTTL, ReviewInherit}

// Inherited tells whether a property can be set for all apps of a host.
func Inherited(property string) bool { return slices.Contains(inherited, property) }

// inherit fills in what the host says for all its apps. A host whose settings cannot be
// read says nothing.
func (h *Host) inherit(settings Settings) Settings {
	global, err := h.Settings.Read("--global")
	if err != nil {
		return settings
	}
	settings.Properties = cloned(settings.Properties)
	for _, property := range inherited {
		if value := global.Properties[property]; value != "" && settings.Properties[property] == "" {
			settings.Properties[property] = value
		}
	}
	return settings
}
