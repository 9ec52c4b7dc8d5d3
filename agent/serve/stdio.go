package serve

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Stdio is a connection made of a process's standard input and output, which is
// what an ssh exec channel is on the host.
type Stdio struct {
	In  *os.File
	Out *os.File
}

func (s Stdio) Read(p []byte) (int, error) {
	n, err := s.In.Read(p)
	return n, timeout(err)
}

func (s Stdio) Write(p []byte) (int, error) {
	n, err := s.Out.Write(p)
	return n, timeout(err)
}

// timeout takes the path off a deadline that passed: with it, the error is no
// net.Error, and net/http would end the connection for its own wake-up call.
func timeout(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Close closes both.
func (s Stdio) Close() error {
	return errors.Join(ignoreClosed(s.In.Close()), ignoreClosed(s.Out.Close()))
}

// LocalAddr and RemoteAddr name no address: a channel has none.
func (s Stdio) LocalAddr() net.Addr  { return stdioAddr{} }
func (s Stdio) RemoteAddr() net.Addr { return stdioAddr{} }

// SetDeadline and its two parts are best effort: pipes and sockets have deadlines,
// files have none.
func (s Stdio) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}
func (s Stdio) SetReadDeadline(t time.Time) error { return ignoreNoDeadline(s.In.SetReadDeadline(t)) }
func (s Stdio) SetWriteDeadline(t time.Time) error {
	return ignoreNoDeadline(s.Out.SetWriteDeadline(t))
}

// Unblock makes reads and writes of the process's own streams end at their
// deadlines: pipes that were inherited blocking are made non-blocking.
func Unblock(file *os.File) *os.File {
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		return file
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return file
	}
	return os.NewFile(uintptr(fd), file.Name())
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func ignoreNoDeadline(err error) error {
	if errors.Is(err, os.ErrNoDeadline) {
		return nil
	}
	return err
}

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "channel" }

var _ io.ReadWriteCloser = Stdio{}

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// repository is a registry reference without tag or digest, host included.
var repository = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$`)

// checkDocument refuses a document whose names are not exact (ALSO-REFUSE C).
func checkDocument(document api.ReleaseDocument) error {
	bad := func(what, value string) error {
		return api.Errorf(api.Usage, "read the release document", "%s is not valid: %q", what, value).
			WithHint("digests are sha256: and 64 lower-case hex digits")
	}
	if !sha256Digest.MatchString(document.Image.ID) {
		return bad("image.id", document.Image.ID)
	}
	if !sha256Digest.MatchString(document.Image.Manifest) {
		return bad("image.manifest", document.Image.Manifest)
	}
	if document.Image.Registry != "" && (len(document.Image.Registry) > 255 || !repository.MatchString(document.Image.Registry)) {
		return bad("image.registry", document.Image.Registry)
	}
	for _, text := range []string{document.Source.Revision, document.Source.Branch, document.Source.Author, document.Source.RunURL} {
		if len(text) > 4<<10 {
			return api.Errorf(api.Usage, "read the release document", "source is longer than 4 KiB")
		}
		for _, c := range text {
			if c < ' ' || c == 0x7f {
				return api.Errorf(api.Usage, "read the release document", "source holds a control character")
			}
		}
	}
	return nil
}
