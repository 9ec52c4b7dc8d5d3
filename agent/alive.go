package agent

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lives tells whether the process that began a request still runs. One that has its pid
// and was born at another time, after a reboot perhaps, is somebody else.
func (b *Begin) lives() bool {
	if b.PID <= 0 || b.PID == ownPID() || syscall.Kill(b.PID, 0) == syscall.ESRCH {
		return false
	}
	return b.Born == "" || b.Born == born(b.PID)
}

// born is when a process began, in the words of the kernel: which boot of the machine,
// and how many ticks after it. Empty where the kernel does not say.
func born(pid int) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The program's name is in brackets and may hold anything; the start is the 20th word after it.
	words := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(words) < 20 {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + words[19]
}
