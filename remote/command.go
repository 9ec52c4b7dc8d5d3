package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// RunOptions asks for a terminal around a command. The zero value asks for none.
type RunOptions struct {
	TTY           bool
	Term          string // $TERM; empty: xterm
	Width, Height int    // in characters; 0: 80 by 24
}

// Run runs a Dokku command on the host and returns its exit code: 128 and the
// signal's number if a signal ended it. Any of the streams may be nil. An error
// means that the outcome is not known. A stdin that never ends keeps the goroutine
// that reads it, but not Run.
func (c *Conn) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, o RunOptions) (int, error) {
	command, err := quoteWords(args)
	if err != nil {
		return 0, err
	}
	op := "run " + args[0] + " on " + c.Target().String()
	s, err := c.open(ctx)
	if err != nil {
		return 0, err
	}
	s.Stdout, s.Stderr = stdout, stderr
	if stdin != nil {
		s.Stdin = stdin
	}
	stop := context.AfterFunc(ctx, func() {
		_ = s.Signal(ssh.SIGTERM) // few servers pass it on; closing is what counts
		s.Close()
	})
	defer stop()
	if err = o.ask(s.Session); err == nil {
		err = s.Start(command)
	}
	if err != nil {
		s.Close()
		s.free()
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, api.Errorf(api.Unreachable, op, "%w", err).WithHint("the host did not take the command")
	}
	err = s.Wait()
	s.free()
	s.Close()
	if err == nil {
		return 0, nil
	}
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		return exit.ExitStatus(), nil
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if _, ok := errors.AsType[*ssh.ExitMissingError](err); ok {
		err = errors.New(s.link.ended())
	}
	return 0, api.Errorf(api.Unreachable, op, "%w", err).WithHint("the command may still run on the host, or be done")
}

// ask requests the terminal, if one is wanted.
func (o RunOptions) ask(s *ssh.Session) error {
	if !o.TTY {
		return nil
	}
	term, width, height := o.Term, o.Width, o.Height
	if term == "" {
		term = "xterm"
	}
	if width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	return s.RequestPty(term, height, width, ssh.TerminalModes{ssh.ECHO: 1, ssh.TTY_OP_ISPEED: 14400, ssh.TTY_OP_OSPEED: 14400})
}

// quoteWords joins words into one command line that both a shell and Dokku split
// into the same words: Dokku gives the line to xargs, which knows quotes but no
// line breaks inside them. Lines whose first word holds git: or git- are split at
// blanks alone, so there a quote would arrive as a character.
func quoteWords(args []string) (string, error) {
	if len(args) == 0 || args[0] == "" {
		return "", api.Errorf(api.Usage, "send a command", "the command is empty")
	}
	bare := strings.Contains(args[0], "git:") || strings.Contains(args[0], "git-")
	words := make([]string, len(args))
	for i, arg := range args {
		if strings.ContainsAny(arg, "\n\r\x00") {
			return "", api.Errorf(api.Usage, "send a command", "word %d holds a line break or NUL, which the host cannot receive", i+1)
		}
		if bare && (arg == "" || strings.ContainsAny(arg, " \t\v\f")) {
			return "", api.Errorf(api.Usage, "send a command", "word %d of %s is empty or holds a blank, which the host cannot receive", i+1, args[0]).
				WithHint("%s splits its words at blanks", args[0])
		}
		words[i] = arg
		if !bare {
			words[i] = quote(arg)
		}
	}
	return strings.Join(words, " "), nil
}

// quote puts single quotes around a word that needs them; a single quote inside
// stands outside of them, behind a backslash.
func quote(word string) string {
	if word != "" && badIn(word, "_@%+=:,./-") == "" {
		return word
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(word, "'", `'\''`))
}
