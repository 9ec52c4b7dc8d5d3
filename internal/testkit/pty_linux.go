package testkit

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// PTY is a terminal of this size: what is written to terminal is read from screen.
func PTY(t testing.TB, columns, lines uint16) (screen, terminal *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	must(t, "make a terminal", err)
	screen = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { screen.Close() })
	must(t, "unlock the terminal", unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, "find the terminal", err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, "open the terminal", err)
	t.Cleanup(func() { terminal.Close() })
	Resize(t, terminal, columns, lines)
	return screen, terminal
}

// Resize gives a terminal another size.
func Resize(t testing.TB, terminal *os.File, columns, lines uint16) {
	t.Helper()
	must(t, "size the terminal", unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: lines}))
}
