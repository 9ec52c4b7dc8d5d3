package api

import "slices"

// TimeHeader carries the client's time, RFC 3339 with fractions, to GET /v1/doctor:
// the host compares it with its own.
const TimeHeader = "Dokku-Push-Time"

// Diagnosis says whether a host is ready for deploys: the answer to GET /v1/doctor.
type Diagnosis struct {
	Findings []HealthFinding `json:"findings"` // in the order of their codes
}

// Count tells how many findings are of a level.
func (d Diagnosis) Count(level HealthLevel) int {
	n := 0
	for _, finding := range d.Findings {
		if finding.Level == level {
			n++
		}
	}
	return n
}

// HealthFinding is what one check found out about one thing.
type HealthFinding struct {
	Code    string      `json:"code"` // one of HealthCodes
	Level   HealthLevel `json:"level"`
	Message string      `json:"message"`        // one line
	Hint    string      `json:"hint,omitempty"` // what to do about it
}

// HealthLevel says how bad it is.
type HealthLevel string

// The levels.
const (
	HealthOK      HealthLevel = "ok"
	HealthWarning HealthLevel = "warning" // it works, and may not for long
	HealthFailure HealthLevel = "failure" // deploys or apps fail, or anybody may get in
)

// The codes of the doctor's checks. A code never changes its meaning.
const (
	HealthDisk         = "H001"
	HealthInodes       = "H002"
	HealthMemory       = "H003"
	HealthEngine       = "H004"
	HealthClock        = "H005"
	HealthNginx        = "H006"
	HealthCertificates = "H007"
	HealthDomains      = "H008"
	HealthKeys         = "H009"
	HealthPlugins      = "H010"
	HealthTraffic      = "H011"
	HealthWatch        = "H012"
	HealthLeftovers    = "H013"
	HealthUnfinished   = "H014"
	HealthBuilds       = "H015"
)

// HealthCode is one row of the table of the doctor's checks.
type HealthCode struct {
	Code    string
	Title   string
	Warning string // when it warns; empty: it never does
	Failure string // when it fails; empty: it never does
}

// Every check warns, too, when it cannot find out what it is asked for.
var healthCodes = []HealthCode{
	{HealthDisk, "disk", "less than 2 GiB, or less than 10 % and 20 GiB, are free where images, state, sites or logs are", "less than 512 MiB are"},
	{HealthInodes, "inodes", "less than 10 % are free there", "less than 2 % are"},
	{HealthMemory, "memory", "less than 10 % is available, or the apps' limits add up to more than there is", "less than 64 MiB is available"},
	{HealthEngine, "engine", "it is older than 20.10", "it does not answer, or runs no Linux containers"},
	{HealthClock, "clock", "it differs by more than 30 s from the client's", ""},
	{HealthNginx, "nginx", "", "it does not answer, or does not take the tree of sites; the app whose file is broken is named"},
	{HealthCertificates, "certificates", "one expires within 21 days, or is for none of the app's domains", "one has expired, is not valid yet, does not fit its key or cannot be read"},
	{HealthDomains, "domains", "one does not resolve, or to no address of this host", ""},
	{HealthKeys, "ssh keys", "there is none", "one has no forced command or may forward ports, or others can write the file"},
	{HealthPlugins, "plugins", "one has no plugin.toml, is another user's, lies outside of the plugin tree or bears the name of one of Dokku's own", "an enabled one is not there, or everybody can write it"},
	{HealthTraffic, "traffic", "it is switched by reloading nginx", ""},
	{HealthWatch, "watch", "the service does not run", ""},
	{HealthLeftovers, "leftovers", "something is left of an app that does not exist", ""},
	{HealthUnfinished, "unfinished", "a deploy was cut off and waits for recovery", ""},
	{HealthBuilds, "builds", "Dockerfiles are built here without limits of memory and processor, or their steps use the host's network", ""},
}

// HealthCodes returns the table of the doctor's checks, in the order of the codes.
func HealthCodes() []HealthCode { return slices.Clone(healthCodes) }

// HealthTitle is what a check is called.
func HealthTitle(code string) string {
	for _, row := range healthCodes {
		if row.Code == code {
			return row.Title
		}
	}
	return code
}
