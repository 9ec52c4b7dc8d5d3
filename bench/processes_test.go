package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forks counts the processes that the descendants of some processes start, by the kernel's
// own word for each (the process connector, which root may listen to): nothing is too
// short-lived to be seen, and nothing that others do on the machine is counted.
type forks struct {
	socket int
	ended  sync.WaitGroup

	ours map[int]bool   // by id; only the listener's, until stop
	runs map[string]int // how many of ours became which program
	n    int
}

// The kernel's numbers (linux/connector.h, linux/cn_proc.h).
const (
	connectorProc = 1
	listen        = 1
	eventFork     = 1
	eventExec     = 2
)

// countForks listens from now on, until stop.
func countForks(b *testing.B, ancestors []int) *forks {
	b.Helper()
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_CONNECTOR)
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: connectorProc})
	}
	if err == nil {
		err = errors.Join(unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
			unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	}
	if err == nil {
		err = unix.Sendto(socket, subscription(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		b.Fatalf("listen to the kernel's process events: %v", err)
	}
	f := &forks{socket: socket, ours: map[int]bool{}, runs: map[string]int{}}
	for _, pid := range ancestors {
		f.ours[pid] = true
	}
	f.ended.Go(f.listen)
	return f
}

// subscription is a netlink header, a connector header and the one word "listen".
func subscription() []byte {
	var message bytes.Buffer
	for _, field := range []any{uint32(40), uint16(unix.NLMSG_DONE), uint16(0), uint32(0), uint32(os.Getpid()),
		uint32(connectorProc), uint32(1), uint32(0), uint32(0), uint16(4), uint16(0), uint32(listen)} {
		_ = binary.Write(&message, binary.NativeEndian, field) // a bytes.Buffer takes everything
	}
	return message.Bytes()
}

func (f *forks) listen() {
	buffer := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(f.socket, buffer, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
			continue
		case err != nil || n == 0:
			return
		}
		f.event(buffer[:n])
	}
}

// event reads one event behind its two headers of 36 bytes.
func (f *forks) event(message []byte) {
	if len(message) < 36+32 {
		return
	}
	event := message[36:]
	word := func(n int) int { return int(binary.NativeEndian.Uint32(event[4*n:])) }
	switch word(0) {
	case eventFork:
		parent, child, group := word(5), word(6), word(7)
		if child == group && f.ours[parent] { // else it is a thread
			f.ours[group] = true
			f.n++
		}
	case eventExec:
		if group := word(5); f.ours[group] {
			f.runs[commandOf(group)]++
		}
	}
}

// commandOf is a program and its first words; it may be over already.
func commandOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	words := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
	if err != nil || words[0] == "" {
		return "(over)"
	}
	words[0] = words[0][strings.LastIndexByte(words[0], '/')+1:]
	return strings.Join(words[:min(len(words), 2)], " ")
}

// stop ends the count. What happened so far is read first.
func (f *forks) stop() (n int, runs map[string]int) {
	time.Sleep(50 * time.Millisecond)
	_ = unix.Shutdown(f.socket, unix.SHUT_RDWR)
	_ = unix.Close(f.socket)
	f.ended.Wait()
	return f.n, f.runs
}

// memory is what processes hold together, in bytes. own is what each has for itself, shared
// what all of them have of the program's file: the most that any has. resident counts the
// shared pages in each process again (RSS). The kernel's proportional size would divide them
// by all who run the program, those of other hosts on the machine too.
type memory struct {
	own, shared, resident int64
	processes             int
}

func (m memory) once() int64 { return m.own + m.shared }

// watchMemory samples what list names until stop, which returns the highest sums.
func watchMemory(list func() []int) (stop func() memory) {
	end := make(chan struct{})
	result := make(chan memory)
	go func() {
		var peak memory
		for {
			now := measure(list())
			if now.once() > peak.once() {
				peak.own, peak.shared = now.own, now.shared
			}
			peak.resident = max(peak.resident, now.resident)
			peak.processes = max(peak.processes, now.processes)
			select {
			case <-end:
				result <- peak
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() memory { close(end); return <-result }
}

func measure(pids []int) (now memory) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue // it has ended
		}
		now.processes++
		var resident, own int64
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) < 2 {
				continue
			}
			kib, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				continue
			}
			switch words[0] {
			case "Anonymous:":
				own = kib << 10
			case "Rss:":
				resident = kib << 10
			}
		}
		now.own, now.resident, now.shared = now.own+own, now.resident+resident, max(now.shared, resident-own)
	}
	return now
}
