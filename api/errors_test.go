package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// allCodes is every code, by the exit code that README and CI files rely on: it is
// written out here so that a changed number fails.
var allCodes = map[Code]int{
	Unclassified: 1, Differences: 2, BuildFailed: 20, ShipFailed: 21, Precondition: 22, ReleaseFailed: 23, Unhealthy: 24,
	ProxyFailed: 25, HookFailed: 26, Cancelled: 27, StalePlan: 28, UndoFailed: 29, Usage: 64, InvalidManifest: 65,
	Unreachable: 69, Locked: 75, WrongProtocol: 76, Refused: 77, Configuration: 78, BlobsMissing: 21, NotFound: 22,
}

func TestExit(t *testing.T) {
	for code, want := range allCodes {
		plain := &Error{Code: code, Message: "m"}
		if got := Exit(plain); got != want {
			t.Errorf("%s exits with %d, want %d", code, got, want)
		}
		if got := Exit(fmt.Errorf("deploy: %w", errors.Join(io.EOF, plain))); got != want {
			t.Errorf("%s, wrapped and joined, exits with %d, want %d", code, got, want)
		}
	}
	for what, err := range map[string]error{"no code": errors.New("x"), "an unknown code": &Error{Code: "new_code"}, "an empty code": &Error{}} {
		if got := Exit(err); got != 1 {
			t.Errorf("%s exits with %d, want 1", what, got)
		}
	}
	if Exit(nil) != 0 {
		t.Error("success does not exit with 0")
	}
}

// TestEveryCodeIsKnown: a code that is declared is in the table above, and so are those of
// the table that help prints.
func TestEveryCodeIsKnown(t *testing.T) {
	for _, name := range declared(t, "Code") {
		if _, known := allCodes[Code(name)]; !known {
			t.Errorf("the code %q has no exit code in this test", name)
		}
	}
	for _, row := range ExitCodes() {
		if row.Code != "" && allCodes[row.Code] != row.Exit {
			t.Errorf("the table has %d for %q", row.Exit, row.Code)
		}
	}
}

func TestExitCodesTable(t *testing.T) {
	rows := ExitCodes()
	if !slices.IsSortedFunc(rows, func(a, b ExitCode) int { return a.Exit - b.Exit }) {
		t.Error("the table does not ascend")
	}
	exits, codes := map[int]bool{}, map[Code]bool{}
	for _, row := range rows {
		if exits[row.Exit] || row.Code != "" && codes[row.Code] {
			t.Errorf("twice in the table: %+v", row)
		}
		exits[row.Exit], codes[row.Code] = true, true
		if row.Meaning == "" || strings.ContainsAny(row.Meaning, "\n\t") {
			t.Errorf("%d has no meaning of one line: %q", row.Exit, row.Meaning)
		}
	}
	for _, exit := range []int{0, 130, 143} {
		if !exits[exit] {
			t.Errorf("exit code %d is not in the table", exit)
		}
	}
	rows[0].Meaning = "changed"
	if ExitCodes()[0].Meaning == "changed" {
		t.Error("a caller can change the table")
	}
}

func TestCodesAreWords(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for code := range allCodes {
		if !word.MatchString(string(code)) {
			t.Errorf("%q is no word of the wire", code)
		}
	}
}

func TestErrorf(t *testing.T) {
	err := Errorf(ShipFailed, "send the image", "layer %d: %w", 3, io.ErrUnexpectedEOF)
	if err.Error() != "send the image: layer 3: unexpected EOF" {
		t.Errorf("it says %q", err)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the wrapped error is lost")
	}
	if got := Errorf(Usage, "", "no folder").Error(); got != "no folder" {
		t.Errorf("without an op it says %q", got)
	}
	if Errorf(Usage, "", "no folder").Unwrap() != nil {
		t.Error("an error without a cause has one")
	}
	hinted := err.WithHint("try %s", "again")
	if hinted != err || err.Hint != "try again" || strings.Contains(err.Error(), "again") {
		t.Errorf("the hint: %#v", hinted)
	}
}

func TestAsError(t *testing.T) {
	if AsError(nil) != nil {
		t.Error("nil is an error")
	}
	own := &Error{Code: Locked, Message: "m"}
	if got := AsError(fmt.Errorf("a: %w", fmt.Errorf("b: %w", own))); got != own {
		t.Errorf("the error in a chain is not found: %#v", got)
	}
	got := AsError(fmt.Errorf("read: %w", io.EOF))
	if got.Code != Unclassified || got.Message != "read: EOF" || !errors.Is(got, io.EOF) {
		t.Errorf("a foreign error: %#v", got)
	}
}

// TestErrorOnTheWire: what a host said arrives whole, and nothing of a cause does.
func TestErrorOnTheWire(t *testing.T) {
	said := &Error{Code: Unhealthy, Op: "check web.1", Message: "it does not answer", Hint: "look at its lines", Missing: []string{"sha256:1"},
		Failure: &Failure{Container: "web.1", ExitCode: 137, OOMKilled: true, LastLines: []string{"a", "b"}}, Cause: errors.New("inner-canary")}
	text, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "inner-canary") {
		t.Errorf("the cause travels: %s", text)
	}
	var heard Error
	if err := json.Unmarshal(text, &heard); err != nil {
		t.Fatal(err)
	}
	said.Cause = nil
	if diff := cmp.Diff(said, &heard); diff != "" {
		t.Errorf("-said +heard:\n%s", diff)
	}
}

func TestRegistryAuthDoesNotPrint(t *testing.T) {
	auth := RegistryAuth{Username: "user-canary", Password: "password-canary", IdentityToken: "identity-canary", RegistryToken: "registry-canary"}
	request := ReleaseRequest{RegistryAuth: &auth}
	holder := struct{ Auth RegistryAuth }{auth}
	texts := []string{fmt.Sprint(auth), fmt.Sprint(&auth), fmt.Sprintln(holder)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{auth, &auth, request, &request, holder, []RegistryAuth{auth}, map[string]RegistryAuth{"k": auth}} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
	}
	failed := Errorf(ShipFailed, "push", "with %v: %w", auth, fmt.Errorf("as %+v %#v", auth, &auth)).WithHint("%s", auth)
	inJSON, err := json.Marshal(failed)
	if err != nil {
		t.Fatal(err)
	}
	texts = append(texts, failed.Error(), failed.Hint, string(inJSON), fmt.Sprintf("%+v", failed))
	for _, text := range texts {
		if strings.Contains(text, "canary") || strings.Contains(text, fmt.Sprintf("%x", "canary")) {
			t.Errorf("credentials show in %q", text)
		}
	}
}
