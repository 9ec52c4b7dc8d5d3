package report

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// Value is one of CI's outputs.
type Value struct{ Name, Text string }

// Values are the outputs of a push: what later steps of a job go by. Of several apps only
// what can be said of all of them has a text.
func Values(accounts []Account) []Value {
	var a Account
	if len(accounts) == 1 {
		a = accounts[0]
	}
	v := api.Verdict{}
	if a.Verdict != nil {
		v = *a.Verdict
	}
	live := v.OK && v.Release != 0
	url, release, version, failed, code := "", "", "", "", ""
	if len(v.URLs) > 0 {
		url = v.URLs[0]
	} else if a.Plan != nil && len(a.Plan.URLs) > 0 && a.problem() == nil {
		url = a.Plan.URLs[0]
	}
	if live {
		release, version = strconv.Itoa(v.Release), "v"+strconv.Itoa(v.Release)
	}
	digest, offline := firstText(v.Run, v.Built), a.Plan != nil && a.Plan.Offline
	if offline && len(a.Plan.Changes) > 0 {
		digest = a.Plan.Changes[0].After
	}
	changed, undone, took, sent := false, false, int64(0), int64(0)
	for _, one := range accounts {
		undone = undone || one.undone()
		if step := one.failedStep(); step != nil && failed == "" {
			failed = step.Name
		}
		if problem := one.problem(); problem != nil && code == "" {
			code = string(problem.Code)
		}
		if one.Verdict != nil {
			changed = changed || one.Verdict.OK && one.Verdict.Changed
			sent += one.Verdict.Sent
		} else if one.Plan != nil {
			changed = changed || !one.Plan.Empty()
		}
		took = max(took, one.last.Sub(one.begun).Milliseconds())
	}
	said := strconv.FormatBool(changed)
	if offline { // nobody was asked
		said = ""
	}
	return []Value{
		{"release_id", release}, {"version", version}, {"image_digest", digest}, {"url", url},
		{"changed", said}, {"previous_release_id", number(v.Previous)}, {"rolled_back", strconv.FormatBool(undone)},
		{"duration_ms", strconv.FormatInt(took, 10)}, {"bytes_sent", strconv.FormatInt(sent, 10)}, {"failed_step", failed}, {"error_code", code},
	}
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// AppendGitHubOutputs adds outputs to the file that $GITHUB_OUTPUT names. A delimiter that
// nobody can guess keeps a value from ending itself and beginning another one.
func AppendGitHubOutputs(path string, values []Value) error {
	var text strings.Builder
	for _, value := range values {
		end, err := token()
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s<<%s\n%s\n%s\n", value.Name, end, value.Text, end)
	}
	return appendFile(path, text.String())
}

// WriteDotenv writes outputs as lines that GitLab's dotenv reports and shells read. A value
// that does not stand in one plain line is left out of it.
func WriteDotenv(path string, values []Value) error {
	var text strings.Builder
	for _, value := range values {
		if strings.Trim(value.Text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:/@,+=") == "" {
			fmt.Fprintf(&text, "DOKKU_PUSH_%s=%s\n", strings.ToUpper(value.Name), value.Text)
		}
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write the outputs: %w", err)
	}
	return nil
}

// resultDocument is what push --result writes.
type resultDocument struct {
	Apps []Account `json:"apps"`
}

// WriteResult writes one JSON document: what became of each app, step by step.
func WriteResult(path string, accounts []Account) error {
	text, err := json.MarshalIndent(resultDocument{Apps: append([]Account{}, accounts...)}, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// appendFile adds to a file that CI made.
func appendFile(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write for CI: %w", err)
	}
	_, err = file.WriteString(text)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write for CI: %w", err)
	}
	return nil
}

// token is a word that nobody can guess.
func token() (string, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("draw a token: %w", err)
	}
	return "dokku-push-" + hex.EncodeToString(random[:]), nil
}
