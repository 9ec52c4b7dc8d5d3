package nginx

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// errNotRunning says that there is no nginx to reload.
var errNotRunning = errors.New("nginx is not running")

// master is the process id of the running nginx.
func (n *Nginx) master() (int, error) {
	text, err := os.ReadFile(n.Config.Pid)
	if errors.Is(err, os.ErrNotExist) {
		return 0, errNotRunning
	} else if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, errNotRunning
	}
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return 0, errNotRunning
	}
	// A process id may be another program's by now.
	if title := title(pid); title != "" && !strings.Contains(title, "nginx") {
		return 0, errNotRunning
	}
	return pid, nil
}

// running tells whether there is an nginx.
func (n *Nginx) running() bool {
	_, err := n.master()
	return err == nil
}

// title is a process's command line as ps shows it; empty when it cannot be read.
func title(pid int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return ""
	}
	return string(bytes.TrimRight(bytes.ReplaceAll(text, []byte{0}, []byte{' '}), " "))
}

// workers are the worker processes that take new connections, each as its id and
// the time it began. known is false where the system does not tell.
func workers(master int) (list []string, known bool) {
	if title(master) == "" {
		return nil, false // no /proc, or one that hides others' processes
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, false
	}
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name in brackets may hold blanks; the parent is the second field
		// behind it, the start time the twentieth.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 20 || fields[1] != strconv.Itoa(master) || fields[0] == "Z" {
			continue
		}
		if title := title(pid); strings.Contains(title, "worker process") && !strings.Contains(title, "shutting down") {
			list = append(list, strconv.Itoa(pid)+"@"+fields[19])
		}
	}
	slices.Sort(list)
	return list, true
}

// anyOf tells whether the lists share a worker.
func anyOf(list, of []string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return slices.Contains(of, one) })
}
