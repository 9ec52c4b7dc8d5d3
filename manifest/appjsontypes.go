package manifest

import "time"

// AppJSON is what of app.json this project uses.
type AppJSON struct {
	Scripts      Scripts
	Formation    map[string]Formation
	Healthchecks map[string][]Healthcheck
	Env          map[string]EnvVar
	Cron         []Cron // commands at times
	// What no deploy uses yet is read all the same, so that mistakes show.
	Buildpacks   []string            // urls, as Heroku takes them
	Environments map[string]*AppJSON // test and review: what they replace
}

// Scripts run on the host, each in a container of the app's image.
type Scripts struct {
	Predeploy   string // scripts.dokku.predeploy: its result is committed into the image
	Postdeploy  string // scripts.dokku.postdeploy: after every deploy
	FirstDeploy string // scripts.postdeploy: once, after the first deploy
	Predestroy  string // scripts.pr-predestroy: before a review app goes
}

// Cron is one entry of app.json's cron.
type Cron struct {
	Command     string
	Schedule    string // five fields, or a word such as @daily
	Maintenance bool   // runs while the app is in maintenance too
	Concurrency string // allow (default), forbid, replace
}

// Formation is how many containers a process type has. Quantity nil: not said.
type Formation struct {
	Quantity    *int
	MaxParallel int
}

// EnvVar is one entry of app.json's env.
type EnvVar struct {
	Value       string
	Description string
	Required    bool // default true
	Secret      bool // generator "secret": 64 hex digits, made once
	Sync        bool // set on every deploy, not only on the first
}

// Healthcheck is one entry of app.json's healthchecks, with Dokku's defaults
// filled in.
type Healthcheck struct {
	Type         string // startup (default), readiness, liveness
	Name         string
	Description  string
	Path         string        // HTTP GET on this path; empty: none
	Port         int           // 0: the process's own port
	Scheme       string        // http (default) or https
	Content      string        // must be in the body
	Command      []string      // run in the container; exit 0 is healthy
	Headers      []Header      // httpHeaders
	Attempts     int           // default 3
	InitialDelay time.Duration // default 0
	Timeout      time.Duration // of one attempt, default 5 s
	Wait         time.Duration // between attempts, default 5 s
	Uptime       time.Duration // must have run that long
	Listening    bool          // the port must accept connections on the container's address
	Warn         bool          // a failure only warns
	OnFailure    *OnFailure    // done when all attempts have failed; nil: nothing
}

// OnFailure is who is told of a healthcheck that failed.
type OnFailure struct {
	Command []string // run in the container
	URL     string   // gets a POST that says in JSON what failed
}

// Header is one HTTP header of a healthcheck.
type Header struct{ Name, Value string }
