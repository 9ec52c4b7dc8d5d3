package api

// Drift is what differs between an app's current release and what runs: the answer to
// GET /v1/apps/{app}/drift. Values of config are never in it.
type Drift struct {
	App      string         `json:"app"`
	Release  int            `json:"release,omitempty"` // vN that should run; 0: none
	Findings []DriftFinding `json:"findings"`          // empty: all is as the release says
}

// DriftFinding is one difference.
type DriftFinding struct {
	Code     string   `json:"code"`               // one of DriftCodes
	Severity Severity `json:"severity"`           // the code's
	Subject  string   `json:"subject"`            // what it is about: web.1, nginx.conf, a path
	Names    []string `json:"names,omitempty"`    // of variables, networks
	Found    string   `json:"found"`              // what is there
	Expected string   `json:"expected,omitempty"` // what the release or the settings say
	Hint     string   `json:"hint,omitempty"`     // what to do about it
}

// Severity says how much a difference matters.
type Severity string

// The severities. Both are differences.
const (
	Broken  Severity = "error"   // the app is not what its release says
	Suspect Severity = "warning" // it works, and will not stay as it is
)

// The codes of drift. A code never changes its meaning.
const (
	DriftEnvMissing     = "D001"
	DriftEnvChanged     = "D002"
	DriftEnvExtra       = "D003"
	DriftImage          = "D004"
	DriftMissing        = "D005"
	DriftStopped        = "D006"
	DriftRunning        = "D007"
	DriftExtra          = "D008"
	DriftStale          = "D009"
	DriftUnowned        = "D010"
	DriftScale          = "D011"
	DriftNetworkMissing = "D012"
	DriftNetworkExtra   = "D013"
	DriftNginxEdited    = "D014"
	DriftNginxMissing   = "D015"
	DriftMapMissing     = "D016"
	DriftMapOther       = "D017"
	DriftImageGone      = "D018"
	DriftTag            = "D019"
	DriftUnfinished     = "D020"
	DriftLeftover       = "D021"
)

// DriftCode is one row of the table of drift.
type DriftCode struct {
	Code     string
	Severity Severity
	Meaning  string
}

var driftCodes = []DriftCode{
	{DriftEnvMissing, Suspect, "a variable is set, and a running container has it not"},
	{DriftEnvChanged, Suspect, "a variable is set to another value than a running container has"},
	{DriftEnvExtra, Suspect, "a running container has a variable that is no longer set"},
	{DriftImage, Broken, "a container runs another image than the release's"},
	{DriftMissing, Broken, "a container of the release is not there"},
	{DriftStopped, Broken, "a container of the release does not run"},
	{DriftRunning, Suspect, "a container runs although the app was stopped"},
	{DriftExtra, Suspect, "there is a container more than the release has"},
	{DriftStale, Suspect, "a container of a former or failed deploy was left behind"},
	{DriftUnowned, Suspect, "a container bears the app's label and belongs to nobody"},
	{DriftScale, Suspect, "the app is scaled to another number than the release runs"},
	{DriftNetworkMissing, Broken, "a container was taken off a network that it is declared for"},
	{DriftNetworkExtra, Suspect, "a container is in a network that it is not declared for"},
	{DriftNginxEdited, Suspect, "the nginx file is not the one that the agent wrote"},
	{DriftNginxMissing, Broken, "the nginx file is not there"},
	{DriftMapMissing, Broken, "the kernel's address map leads nowhere for a container"},
	{DriftMapOther, Broken, "the kernel's address map leads to something else than the container"},
	{DriftImageGone, Broken, "the engine has the release's image no more"},
	{DriftTag, Suspect, "the app's image name names another image than the release's"},
	{DriftUnfinished, Broken, "a deploy was cut off and waits for recovery"},
	{DriftLeftover, Suspect, "something is left of an app that does not exist"},
}

// DriftCodes returns the table of drift, in the order of the codes.
func DriftCodes() []DriftCode { return append([]DriftCode(nil), driftCodes...) }

// SeverityOf is the severity of a code of drift.
func SeverityOf(code string) Severity {
	for _, row := range driftCodes {
		if row.Code == code {
			return row.Severity
		}
	}
	return Broken
}
