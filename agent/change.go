package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Kind says what sort of change a request is. It is recorded with the release.
type Kind string

// The kinds of change. Each goes through the same transaction; they differ in
// where the image and the settings come from and which containers stay.
const (
	Deploy   Kind = "deploy"   // a release document
	Rollback Kind = "rollback" // image, env and formation of an earlier release
	Promote  Kind = "promote"  // the image that another app runs, with this app's own settings
	Tag      Kind = "tag"      // an image by its name (tags:deploy, git:from-image)
	Config   Kind = "config"   // the current release with the settings as they are now
	Restart  Kind = "restart"
	Rebuild  Kind = "rebuild"
	Start    Kind = "start"
	Scale    Kind = "scale" // only what the new scale lacks is started
)

// ships tells the kinds that bring an image to an app, which is created for them.
func (k Kind) ships() bool { return k == Deploy || k == Tag || k == Promote }

// Change is one request to change what runs of an app.
type Change struct {
	App      string
	Request  string
	Kind     Kind
	Document api.ReleaseDocument // Kind Deploy
	Auth     *api.RegistryAuth   // for one pull, never written anywhere
	Release  int                 // Kind Rollback: vN, 0: last healthy before the current one
	From     string              // Kind Promote: the other app
	Image    string              // Kind Tag: the image's name
	Pull     PullWhen            // Kind Tag: what is done where the engine lacks it
	Author   string              // Kind Tag: "Name <address>" of whoever brings it
	Scale    map[string]int      // Kind Scale
	Process  string              // Kind Restart: only containers of this process type; empty: all
	By       Caller
	LockWait time.Duration
	RunURL   string
	// NewestWins stops an older deploy of the same key that is still running or waiting.
	NewestWins bool
	// Signed is the statement that came with what ships: kinds Deploy and Promote.
	Signed *api.Signed
	State  string // the state hash that the change was planned for; empty: any
	After  string // the request in whose triggers it was asked for (Queue)
}

var requestID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{7,63}$`)

// ValidRequest tells whether a string may be a request id.
func ValidRequest(id string) bool { return requestID.MatchString(id) }

// drawn is so many random bytes as hexadecimal digits, for a name that is nobody else's.
func drawn(bytes int) (string, error) {
	random := make([]byte, bytes)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("draw a name: %w", err)
	}
	return hex.EncodeToString(random), nil
}

// DocumentDigest tells two release documents apart by what they would run:
// where the sources came from does not count, nor the way the layers took.
func DocumentDigest(document api.ReleaseDocument) string {
	document.Source = api.Source{}
	document.Image.Manifest, document.Image.Registry = "", ""
	text, err := json.Marshal(document)
	if err != nil {
		panic("a release document of strings cannot fail to marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// requestKey carries the id of the request in whose name an operation runs.
type requestKey struct{}

// Nested marks ctx as running inside request: a command that a trigger of that
// request started. Its settings are written, its redeploys are dropped or wait (Queue).
func Nested(ctx context.Context, request string) context.Context {
	return context.WithValue(ctx, requestKey{}, request)
}

func nestedIn(ctx context.Context) string {
	request, _ := ctx.Value(requestKey{}).(string)
	return request
}
