package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push"
)

// TestSignFlags: --sign alone is the key that ssh uses, --sign=PATH another; a folder that
// stands behind it is the folder. A flag wins over DOKKU_SIGN.
func TestSignFlags(t *testing.T) {
	for _, test := range []struct {
		variable, line string
		want           push.Signing
		folder         string
	}{
		{"", "push .", push.Signing{}, "."},
		{"", "push --sign .", push.Signing{Key: push.SignWithSSHKey}, "."},
		{"", "--sign=~/.ssh/release --sign-for 10m --allow-downgrade", push.Signing{Key: "~/.ssh/release", For: 10 * time.Minute, AllowDowngrade: true}, "."},
		{"1", "plan", push.Signing{Key: push.SignWithSSHKey}, "."},
		{"0", "push", push.Signing{}, "."},
		{"/keys/release", "promote staging shop", push.Signing{Key: "/keys/release"}, "staging"},
		{"/keys/release", "push --sign=other", push.Signing{Key: "other"}, "."},
	} {
		t.Setenv("DOKKU_SIGN", test.variable)
		c, err := parse(strings.Fields(test.line), nil, io.Discard, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
			continue
		}
		if c.options.Signing != test.want || c.folder() != test.folder {
			t.Errorf("DOKKU_SIGN=%s %s: %+v of %s", test.variable, test.line, c.options.Signing, c.folder())
		}
	}
	if _, err := push.Prepare(context.Background(), push.Options{Signing: push.Signing{AllowDowngrade: true}}); err == nil || api.AsError(err).Code != api.Usage {
		t.Errorf("--allow-downgrade without --sign: %v", err)
	}
}
