package manifest

import (
	"strings"
)

const (
	maxQuantity = 1000     // containers of one process type
	maxScript   = 64 << 10 // bytes
)

// ParseAppJSON reads app.json. Keys that nothing uses are advice, for the file has
// many readers; what is used and wrong is a mistake, and then the AppJSON is nil.
func ParseAppJSON(name string, text []byte) (*AppJSON, Diagnostics) {
	appJSON, s := parseAppJSON(name, text)
	return appJSON, s.result()
}

func parseAppJSON(name string, text []byte) (*AppJSON, *source) {
	r := appJSONReader{jsonReader: jsonReader{newSource(name, text)}, app: &AppJSON{}}
	if !r.failed() && strings.TrimSpace(r.text) == "" { // Dokku takes it for none
		r.advice(0, "the file is empty", "remove it, or write {}")
		return r.app, r.source
	}
	if root := r.parse(); root != nil {
		known := r.known()
		known["environments"] = r.environments
		for _, key := range labels {
			known[key] = func(member) {}
		}
		r.fields(root, "", known, r.ignored()...)
	}
	if r.failed() {
		return nil, r.source
	}
	return r.app, r.source
}

type appJSONReader struct {
	jsonReader
	app    *AppJSON
	within string // the environment that is read, or empty
}

// known are the keys that are read, in an environment as well as at the top.
func (r appJSONReader) known() map[string]func(member) {
	return map[string]func(member){
		"scripts":      r.scripts,
		"formation":    r.formation,
		"healthchecks": r.healthchecks,
		"env":          r.env,
		"buildpacks":   r.buildpacks,
		"cron":         r.cron,
	}
}

// labels are the keys that only describe: they are kept with the image, as all of
// app.json is, and decide nothing.
var labels = []string{"name", "description", "keywords", "website", "repository", "logo", "success_url"}

// ignored are the keys that have a meaning elsewhere.
func (r appJSONReader) ignored() []string { return []string{"addons", "stack", "image"} }

// unused tells of a key that was read and that no deploy uses.
func (r appJSONReader) unused(m member) {
	r.advice(m.at, m.path+" is not used", "this deploy goes on without it")
}

// note keeps where something stands, of what is at the top.
func (r appJSONReader) note(key string, at int) {
	if r.within == "" {
		r.places[key] = at
	}
}

// environments reads what test and review apps replace. An environment has none of
// its own.
func (r appJSONReader) environments(m member) {
	r.unused(m)
	r.app.Environments = map[string]*AppJSON{}
	for _, entry := range r.members(m.value, m.path) {
		if entry.key != "test" && entry.key != "review" {
			r.advice(entry.at, entry.path+" is not known and not used", didYouMean(entry.key, []string{"test", "review"}))
			continue
		}
		inner := appJSONReader{jsonReader: r.jsonReader, app: &AppJSON{}, within: entry.key}
		known := inner.known()
		known["environments"] = func(m member) {
			r.mistake(m.at, m.path+": an environment has no environments", "take them out")
		}
		inner.fields(entry.value, entry.path, known, append(inner.ignored(), labels...)...)
		r.app.Environments[entry.key] = inner.app
	}
}

// buildpacks reads a list of { "url": … }.
func (r appJSONReader) buildpacks(m member) {
	r.unused(m)
	r.note("buildpacks", m.at)
	for _, element := range r.list(m.value, m.path) {
		url := ""
		r.fields(element.value, element.path, map[string]func(member){"url": func(m member) { url = r.line(m) }})
		if url == "" {
			r.mistake(element.at, element.path+" has no url", "write { \"url\": \"heroku/nodejs\" }")
		}
		r.app.Buildpacks = append(r.app.Buildpacks, url)
	}
}

func (r appJSONReader) scripts(m member) {
	scripts := &r.app.Scripts
	tests := []string{}
	if r.within == "test" {
		tests = []string{"test", "test-setup"}
	}
	r.fields(m.value, m.path, map[string]func(member){
		"dokku": func(m member) {
			r.fields(m.value, m.path, map[string]func(member){
				"predeploy": func(m member) {
					if scripts.Predeploy = r.script(m); scripts.Predeploy != "" {
						r.advice(m.at, m.path+" changes the image after it was built", "a release: line in the Procfile runs before traffic moves and leaves the image alone")
					}
				},
				"postdeploy": func(m member) { scripts.Postdeploy = r.script(m) },
			})
		},
		"postdeploy":    func(m member) { scripts.FirstDeploy = r.script(m) },
		"pr-predestroy": func(m member) { r.unused(m); scripts.Predestroy = r.script(m) },
	}, tests...)
}

func (r appJSONReader) script(m member) string {
	text, ok := r.stringOf(m)
	switch {
	case !ok:
	case len(text) > maxScript:
		r.mistake(m.value.StartOffset, m.path+" is larger than 64 KiB", "put it into a file of the image and call that")
	case strings.IndexByte(text, 0) >= 0:
		r.mistake(m.value.StartOffset, m.path+" holds a NUL byte", "take it out")
	}
	return text
}

// processes returns the entries of an object that is keyed by process type.
func (r appJSONReader) processes(m member) []member {
	entries := r.members(m.value, m.path)
	for _, entry := range entries {
		if problem, hint := processName(entry.key); problem != "" {
			r.mistake(entry.at, problem, hint)
		}
		r.note(m.key+"."+entry.key, entry.at)
	}
	return entries
}

func (r appJSONReader) formation(m member) {
	r.app.Formation = map[string]Formation{}
	for _, entry := range r.processes(m) {
		var formation Formation
		r.fields(entry.value, entry.path, map[string]func(member){
			"quantity": func(m member) {
				if n, ok := r.number(m, 0, maxQuantity); ok {
					formation.Quantity = &n
				}
			},
			// -1 is Dokku's word for all at once.
			"max_parallel": func(m member) { formation.MaxParallel, _ = r.number(m, -1, maxQuantity) },
		}, "size", "autoscaling", "service")
		r.app.Formation[entry.key] = formation
	}
}
