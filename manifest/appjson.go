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
	if root := r.parse(); root != nil {
		r.fields(root, "", map[string]func(member){
			"scripts":      r.scripts,
			"formation":    r.formation,
			"healthchecks": r.healthchecks,
			"env":          r.env,
		}, "name", "description", "keywords", "website", "repository", "logo", "success_url",
			"addons", "buildpacks", "stack", "image", "environments", "cron")
	}
	if r.failed() {
		return nil, r.source
	}
	return r.app, r.source
}

type appJSONReader struct {
	jsonReader
	app *AppJSON
}

func (r appJSONReader) scripts(m member) {
	scripts := &r.app.Scripts
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
		"postdeploy": func(m member) { scripts.FirstDeploy = r.script(m) },
	}, "pr-predestroy")
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
		r.places[m.key+"."+entry.key] = entry.at
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
