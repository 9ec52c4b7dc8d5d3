package keys

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// listed is a key in sshcommand's JSON.
type listed struct {
	Fingerprint string `json:"fingerprint"`
	Name        string `json:"name"`
	Allowed     string `json:"SSHCOMMAND_ALLOWED_KEYS"`
	PublicKey   string `json:"public-key"`
}

// Print writes the keys, or those of one name, as sshcommand lists them: format is text or
// json. A file without a key, or with a line that is none, is an error unless lenient.
func (f File) Print(out io.Writer, name, format string, lenient bool) error {
	const op = "list the keys"
	if format != "text" && format != "json" {
		return api.Errorf(api.Usage, op, "Invalid format specified, supported formats: json, text")
	}
	all, err := f.List()
	if err != nil {
		return err
	}
	invalid, err := f.Invalid()
	if err != nil {
		return err
	}
	if len(invalid) > 0 && !lenient {
		return api.Errorf(api.Precondition, op, "%s:%d: this is no key", f.Path, invalid[0])
	}
	if len(all) == 0 && !lenient {
		return api.Errorf(api.Precondition, op, "No public keys found in %s", f.Path)
	}
	rows := []listed{}
	for _, key := range all {
		if name != "" && key.Name != name {
			continue
		}
		public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.Public)) + " " + key.Comment)
		rows = append(rows, listed{key.Fingerprint, key.Name, key.Allowed, strings.Join(strings.Fields(public), " ")})
	}
	if len(rows) == 0 && !lenient {
		return api.Errorf(api.Precondition, op, "there is no key named %s", name)
	}
	if format == "json" {
		text, err := json.Marshal(rows)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	}
	for _, row := range rows {
		if _, err := fmt.Fprintf(out, "%s NAME=\"%s\" SSHCOMMAND_ALLOWED_KEYS=\"%s\"\n", row.Fingerprint, row.Name, row.Allowed); err != nil {
			return err
		}
	}
	return nil
}
