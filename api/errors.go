package api

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an error is. Each has one exit code.
type Code string

// The codes, in the order of their exit codes.
const (
	Unclassified    Code = "unclassified"
	Differences     Code = "differences"
	BuildFailed     Code = "build_failed"
	ShipFailed      Code = "ship_failed"
	Precondition    Code = "precondition_failed"
	ReleaseFailed   Code = "release_failed"
	Unhealthy       Code = "unhealthy"
	ProxyFailed     Code = "proxy_failed"
	HookFailed      Code = "hook_failed"
	Cancelled       Code = "cancelled"
	StalePlan       Code = "stale_plan"
	UndoFailed      Code = "undo_failed"
	Usage           Code = "usage"
	InvalidManifest Code = "invalid_manifest"
	Unreachable     Code = "unreachable"
	Locked          Code = "locked"
	WrongProtocol   Code = "wrong_protocol"
	Refused         Code = "refused"
	Configuration   Code = "configuration"
	// BlobsMissing is how the agent asks for layers that the engine wanted and
	// nobody has any more; Error.Missing lists them, the client sends them and
	// asks once more. It is not an outcome of its own.
	BlobsMissing Code = "blobs_missing"
	// NotFound is an app, a release or a request that does not exist.
	NotFound Code = "not_found"
)

// ExitCode is a program's answer to its caller for a Code.
type ExitCode struct {
	Exit    int
	Code    Code
	Meaning string
}

// ExitCodes is the one table of exit codes: `dokku-push help` prints it.
var exitCodes = []ExitCode{
	{0, "", "done, or nothing to do"},
	{1, Unclassified, "failed in a way not listed here"},
	{2, Differences, "differences found (plan --detailed-exitcode, drift)"},
	{20, BuildFailed, "the build failed"},
	{21, ShipFailed, "the image could not be sent"},
	{22, Precondition, "the host is not fit for this deploy; nothing was changed"},
	{23, ReleaseFailed, "a release step failed (predeploy, release task, a plugin); undone"},
	{24, Unhealthy, "the new containers are not healthy; undone"},
	{25, ProxyFailed, "nginx refused the new site; undone"},
	{26, HookFailed, "deployed, but a later hook failed"},
	{27, Cancelled, "cancelled; undone"},
	{28, StalePlan, "the host changed since the plan was made"},
	{29, UndoFailed, "undoing failed: the host needs a person"},
	{64, Usage, "wrong usage"},
	{65, InvalidManifest, "Procfile, app.json or dokku.hcl is not valid"},
	{69, Unreachable, "the host or registry cannot be reached"},
	{75, Locked, "locked by another deploy, or timed out: try again"},
	{76, WrongProtocol, "client and agent do not understand each other"},
	{77, Refused, "refused: key, host key, permission or signature"},
	{78, Configuration, "bad configuration of the environment"},
	{130, "", "interrupted (SIGINT)"},
	{143, "", "terminated (SIGTERM)"},
}

// ExitCodes returns the table of exit codes in ascending order.
func ExitCodes() []ExitCode { return append([]ExitCode(nil), exitCodes...) }

// Error is the one error that crosses from package to package, from host to
// client and from program to person.
type Error struct {
	Code    Code     `json:"code"`
	Op      string   `json:"op,omitempty"`   // what was being done, as a verb phrase: "check web.1"
	Message string   `json:"message"`        // what went wrong, one line
	Hint    string   `json:"hint,omitempty"` // what to do about it
	Failure *Failure `json:"failure,omitempty"`
	Missing []string `json:"missing,omitempty"` // with BlobsMissing: digests
	Place   *Place   `json:"place,omitempty"`   // the line of the project that it is about; filled in by the client
	Cause   error    `json:"-"`
}

// Place is a line in one of the project's files.
type Place struct {
	File   string `json:"file"`             // relative to the project's folder, with slashes
	Line   int    `json:"line,omitempty"`   // from 1; 0: the whole file
	Column int    `json:"column,omitempty"` // from 1; 0: not known
}

// Failure is what a container had to say before it failed.
type Failure struct {
	Container string   `json:"container"` // its name: web.1
	ExitCode  int      `json:"exit_code"`
	Running   bool     `json:"running"`    // it still ran when it was given up
	OOMKilled bool     `json:"oom_killed"` // the kernel killed it for its memory
	LastLines []string `json:"last_lines,omitempty"`
}

func (e *Error) Error() string {
	if e.Op == "" {
		return e.Message
	}
	return e.Op + ": " + e.Message
}

// Unwrap gives the error behind it.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error with a message in the form of fmt.Errorf; a wrapped
// error becomes its cause.
func Errorf(code Code, op, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Op: op, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// WithHint returns e with the hint set.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// AsError returns the Error in err's chain, or one of code Unclassified that
// says the same. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Unclassified, Message: err.Error(), Cause: err}
}

// Exit returns the exit code for err: 0 for nil, 1 for what has no code.
func Exit(err error) int {
	if err == nil {
		return 0
	}
	code := AsError(err).Code
	switch code {
	case BlobsMissing:
		code = ShipFailed
	case NotFound:
		code = Precondition
	}
	for _, row := range exitCodes {
		if row.Code == code && row.Code != "" {
			return row.Exit
		}
	}
	return 1
}
