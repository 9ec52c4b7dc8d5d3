package doctor

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Memory is a machine's, in bytes.
type Memory struct{ Total, Available uint64 }

// ReadMemory asks the kernel.
func ReadMemory() (Memory, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Memory{}, err
	}
	return parseMemory(string(text))
}

func parseMemory(text string) (Memory, error) {
	var m Memory
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			m.Total = kib << 10
		case "MemAvailable:":
			m.Available = kib << 10
		}
	}
	if m.Total == 0 || m.Available == 0 {
		return m, fmt.Errorf("/proc/meminfo does not tell how much memory there is")
	}
	return m, nil
}

// memory compares what there is with what the apps may use by their formations.
func (d *Doctor) memory(context.Context) []api.HealthFinding {
	m, err := d.Memory()
	if err != nil {
		return unknown(api.HealthMemory, err)
	}
	limits, unlimited := formations(d.Apps)
	what := fmt.Sprintf("%s of %s available; the apps' limits add up to %s", size(m.Available), size(m.Total), size(limits))
	if unlimited > 0 {
		what += fmt.Sprintf(", %s without one", plural(unlimited, "container", "containers"))
	}
	const hint = "set limits (resource:limit --memory), scale down, or add memory: a deploy runs old and new containers at the same time"
	switch {
	case m.Available < 64*mib:
		return []api.HealthFinding{fail(api.HealthMemory, hint, "%s", what)}
	case percent(m.Available, m.Total) < 10, limits > m.Total:
		return []api.HealthFinding{warn(api.HealthMemory, hint, "%s", what)}
	}
	return []api.HealthFinding{fine(api.HealthMemory, "%s", what)}
}

// formations adds up the limits of all containers, and counts those that have none.
func formations(apps map[string]agent.Settings) (limits uint64, unlimited int) {
	for _, settings := range apps {
		for process, n := range settings.Scale {
			limit := bytesOf(settings.Properties["resource/"+process+".limit.memory"])
			if limit == 0 {
				limit = bytesOf(settings.Properties["resource/_default_.limit.memory"])
			}
			if limit == 0 {
				unlimited += n
			}
			limits += limit * uint64(max(n, 0))
		}
	}
	return limits, unlimited
}

// bytesOf reads a limit as docker does: b, k, m or g behind a number. A bare number is
// mebibytes, as Dokku's users write it, unless it is far too large for that.
func bytesOf(text string) uint64 {
	text = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), "b"), "i")
	digits := strings.TrimRight(text, "kmg")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	switch strings.TrimPrefix(text, digits) {
	case "k":
		return n << 10
	case "m":
		return n << 20
	case "g":
		return n << 30
	}
	if n < 4*mib {
		return n << 20
	}
	return n
}
