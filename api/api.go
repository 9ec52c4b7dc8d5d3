// Package api is what dokku-push and dokku-agent say to each other: the types
// of requests and answers, the event stream and the error codes. It decides
// nothing and imports nothing but the standard library.
//
// # The wire
//
// The client opens an ssh exec request with the command AgentCommand. The agent
// serves one HTTP/1.1 connection on that channel's stdin and stdout. One
// channel is one connection; a client keeps at most MaxChannels open.
//
//	GET    /v1/hello                             Hello
//	GET    /v1/doctor                            Diagnosis; header TimeHeader
//	GET    /v1/apps/{app}                        AppState
//	GET    /v1/apps/{app}/drift                  Drift
//	POST   /v1/apps/{app}/plan                   PlanRequest -> Plan
//	POST   /v1/apps/{app}/releases               ReleaseRequest, answered by events
//	GET    /v1/apps/{app}/releases/{id}          the same events again; id is a request id or vN; ?offset=N skips N events
//	DELETE /v1/apps/{app}/releases/{id}          cancel at the next safe point; answered by Verdict when undone
//	POST   /v1/apps/{app}/promote                PromoteRequest, answered by events
//	POST   /v1/apps/{app}/rollback               RollbackRequest, answered by events
//	/v2/{app}/...                                the OCI distribution API, push side, of that app alone
//
// A request that changes an app carries RequestHeader: an id that the client
// chose. The same id with the same body is the same deploy, never a second one.
//
// A refusal is an HTTP status from 400 up whose body is an Error as JSON. Events
// are application/x-ndjson: one Event a line, version first, verdict last. A
// reader skips events of a type it does not know; a stream that ends without a
// verdict was cut, and the reader asks again with the same id.
package api

const (
	// Protocol is the version of everything in this package. Client and agent
	// that differ refuse each other before anything is built (exit 76).
	Protocol = 1

	// AgentCommand is the ssh exec request that opens an HTTP connection.
	AgentCommand = "agent:http"

	// MaxChannels is how many channels a client keeps open on one ssh
	// connection; OpenSSH's MaxSessions is 10 by default.
	MaxChannels = 8

	// RequestHeader names the request id: 8 to 64 of [a-z0-9-].
	RequestHeader = "Dokku-Push-Request"

	// EventStream is the content type of an event stream.
	EventStream = "application/x-ndjson"

	// ReservedDisk is what a host needs free beside the layers of a release, in bytes:
	// with less a deploy does not begin.
	ReservedDisk = 64 << 20

	// MaxDocument is the largest body of a release request, in bytes.
	MaxDocument = 4 << 20
)

// Hello says what a host is, so that a mismatch is refused before a build.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"` // of the agent program
	OS       string `json:"os"`      // of the engine: linux
	Arch     string `json:"arch"`    // of the engine, in Go's words: amd64, arm64
	Store    string `json:"store"`   // the engine's image store: overlay2, containerd, ...
	Free     int64  `json:"free"`    // bytes free where images are kept
	Traffic  string `json:"traffic"` // how traffic is switched: map or reload
	Key      string `json:"key"`     // name of the ssh key that asks
}
