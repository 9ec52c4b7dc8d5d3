package run

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTerminal: a program that reads a terminal stays in the caller's process group, and is
// ended all the same.
func TestTerminal(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	group := func(in *os.File) string {
		var out bytes.Buffer
		command := Cmd{Argv: []string{"sh", "-c", "ps -o pgid= -p $$"}, Stdin: in, Stdout: &out}
		if err := command.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	own := fmt.Sprint(syscall.Getpgrp())
	if got := group(terminal); got != own {
		t.Errorf("with a terminal the program is in the group %s, want %s", got, own)
	}
	empty, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if got := group(empty); got == own {
		t.Error("without a terminal the program is in the caller's group")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	command := Cmd{Argv: []string{"sleep", "60"}, Stdin: terminal, Grace: time.Second}
	if err := command.Run(ctx); err == nil || time.Since(begun) > 50*time.Second {
		t.Errorf("a program at a terminal ended after %s: %v", time.Since(begun), err)
	}
}
