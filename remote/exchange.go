package remote

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

const opExchange = "trade the job's token for a certificate"

// Certified is a fresh key and what the host has certified of it.
type Certified struct {
	Key redact.Secret // a private key's text
	api.AuthAnswer
}

// Exchange asks a host for an ssh certificate of a new key, for some apps. It comes by the
// door that is open to everybody: no key of the caller's is offered. The host's own key is
// verified before the token is sent. A refusal is the host's own error.
func Exchange(ctx context.Context, o Options, token redact.Secret, apps []string) (Certified, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Certified{}, fmt.Errorf("make a key: %w", err)
	}
	key, err := privateText(private)
	if err != nil {
		return Certified{}, err
	}
	mine, err := ssh.NewPublicKey(public)
	if err != nil {
		return Certified{}, fmt.Errorf("make a key: %w", err)
	}
	request, err := json.Marshal(api.AuthRequest{Token: token.Reveal(), PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(mine))), Apps: apps})
	if err != nil {
		return Certified{}, fmt.Errorf("%s: %w", opExchange, err)
	}
	answer, err := knock(ctx, o, request)
	return Certified{key, answer}, err
}

func privateText(key ed25519.PrivateKey) (redact.Secret, error) {
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return redact.Secret(pem.EncodeToMemory(block)), nil
}

// knock sends a request to the host's door and reads the answer.
func knock(ctx context.Context, o Options, request []byte) (api.AuthAnswer, error) {
	door, err := privateText(api.DoorKey())
	if err != nil {
		return api.AuthAnswer{}, err
	}
	o.Key, o.KeyFile, o.AgentSocket = door, "", "none"
	conn, err := Dial(ctx, o)
	if err != nil {
		if problem := api.AsError(err); problem.Code == api.Refused && strings.Contains(problem.Message, "took none of the keys") {
			return api.AuthAnswer{}, api.Errorf(api.Refused, opExchange, "the host takes no tokens of CI jobs").WithHint("on the host: dokku oidc:open")
		}
		return api.AuthAnswer{}, err
	}
	defer conn.Close()
	var said, problems bytes.Buffer
	exit, err := conn.Run(ctx, []string{api.AuthCommand}, bytes.NewReader(request), &said, &problems, RunOptions{})
	if err != nil {
		return api.AuthAnswer{}, err
	}
	var answer api.AuthAnswer
	err = json.Unmarshal(said.Bytes(), &answer)
	if err == nil && answer.Error != nil {
		return api.AuthAnswer{}, answer.Error
	}
	if err != nil || exit != 0 || answer.Certificate == "" {
		return api.AuthAnswer{}, api.Errorf(api.Refused, opExchange, "the host gave no certificate: %s", printable(strings.TrimSpace(problems.String())))
	}
	return answer, nil
}
