package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "hunter2-canary"

func TestSecretNeverPrints(t *testing.T) {
	secret := Secret(canary)
	holder := struct {
		Name string
		Key  Secret
	}{"x", secret}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "key", secret, "holder", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", secret, "holder", holder)
	asJSON, err := json.Marshal([]any{secret, &secret, holder, map[string]Secret{"k": secret}})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{log.String(), string(asJSON), fmt.Sprint(secret), fmt.Sprintln([]Secret{secret}), fmt.Errorf("x: %v", &holder).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%U"} {
		texts = append(texts, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder))
	}
	hex := fmt.Sprintf("%x", canary)
	for _, text := range texts {
		if strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), hex) {
			t.Errorf("the secret shows in %q", text)
		}
	}
	if secret.Reveal() != canary {
		t.Error("Reveal does not reveal")
	}
	if Secret("").String() != "" {
		t.Error("an empty secret does not look empty")
	}
}

func TestRedactor(t *testing.T) {
	key := "-----BEGIN KEY-----\nc2VjcmV0bGluZQ\n-----END KEY-----\n"
	r := New(canary, canary+"-longer", "ab", Secret(key), "")
	for in, want := range map[string]string{
		"nothing here":                   "nothing here",
		"a " + canary + " b":             "a [secret] b",
		canary + "-longer":               "[secret]",
		"ab is short":                    "ab is short",
		"line c2VjcmV0bGluZQ of the key": "line [secret] of the key",
		base64.StdEncoding.EncodeToString([]byte(canary)): "[secret]",
	} {
		if got := r.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	var none *Redactor
	if none.Text("x") != "x" || (&Redactor{}).Text("x") != "x" {
		t.Error("an empty redactor changes text")
	}
}
