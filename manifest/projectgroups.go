package manifest

import "fmt"

// What project.toml's keys hold.

func (r *projectReader) decides(path string) {
	r.project.Decides = append(r.project.Decides, path)
}

func (r *projectReader) builder(path string, v any) {
	text, ok := r.string(path, v)
	if !ok {
		return
	}
	if problem, hint := checkBase(text); problem != "" {
		r.mistake(r.at(path), path+" "+problem, hint)
		return
	}
	r.project.Builder = text
	r.places["builder"] = r.at(path)
	r.decides(path)
}

func (r *projectReader) string(path string, v any) (string, bool) {
	text, ok := v.(string)
	if !ok {
		r.mistake(r.at(path), path+" is not a string", "write it in double quotes")
	}
	return text, ok
}

func (r *projectReader) files(path string, v any) []string {
	list, ok := v.([]any)
	if !ok {
		r.mistake(r.at(path), path+" is not a list", "write "+path[len(path)-len("include"):]+" = [\"pattern\"]")
		return nil
	}
	files := []string{}
	for _, element := range list {
		text, ok := r.string(path, element)
		if !ok {
			return nil
		}
		files = append(files, text)
	}
	r.decides(path)
	return files
}

// tables returns an array of tables.
func (r *projectReader) tables(path string, v any) []map[string]any {
	if list, ok := v.([]any); ok { // [{ … }] in one line
		var tables []map[string]any
		for _, element := range list {
			table, ok := element.(map[string]any)
			if !ok {
				r.mistake(r.at(path), path+" holds what is no table", "write [["+path+"]] and its keys on the lines after it")
				return nil
			}
			tables = append(tables, table)
		}
		return tables
	}
	tables, ok := v.([]map[string]any)
	if !ok {
		r.mistake(r.at(path), path+" is no list of tables", "write [["+path+"]] and its keys on the lines after it")
	}
	return tables
}

func (r *projectReader) subgroup(field *[]Buildpack) func(string, any) {
	return func(path string, v any) {
		r.table(v, path, map[string]func(string, any){"group": func(path string, v any) { *field = r.group(path, v) }})
	}
}

func (r *projectReader) group(path string, v any) []Buildpack {
	var group []Buildpack
	for i, table := range r.tables(path, v) {
		var b Buildpack
		given := 0
		take := func(field *string, counts bool) func(string, any) {
			return func(path string, v any) {
				*field, _ = r.string(path, v)
				if counts {
					given++
				}
			}
		}
		each := fmt.Sprintf("%s[%d]", path, i)
		r.table(table, each, map[string]func(string, any){
			"id": take(&b.ID, false), "version": take(&b.Version, true), "uri": take(&b.URI, true),
			"script": func(string, any) { b.Script = true; given++ },
		})
		switch {
		case given > 1:
			r.mistake(r.at(each), each+" has more than one of version, uri and script", "keep one of them")
		case b.ID == "" && b.URI == "":
			r.mistake(r.at(each), each+" names no buildpack", "write id = \"heroku/nodejs\" or uri = \"…\"")
		}
		group = append(group, b)
	}
	r.places["buildpacks"] = r.at(path)
	r.decides(path)
	return group
}

// env reads [[…env]] name value.
func (r *projectReader) env(path string, v any) {
	r.project.Env = map[string]string{}
	for i, table := range r.tables(path, v) {
		var name, text string
		each := fmt.Sprintf("%s[%d]", path, i)
		r.table(table, each, map[string]func(string, any){
			"name":  func(path string, v any) { name, _ = r.string(path, v) },
			"value": func(path string, v any) { text, _ = r.string(path, v) },
		})
		at := r.at(each + ".name")
		problem, hint := envKey(name)
		if _, twice := r.project.Env[name]; twice {
			problem, hint = path+" has "+show(name)+" twice", "keep one of the two"
		}
		if problem == "" {
			if problem, hint = checkValue(text); problem != "" {
				at, problem = r.at(each+".value"), name+": "+problem
			}
		}
		if problem != "" {
			r.mistake(at, problem, hint)
			continue
		}
		r.project.Env[name] = text
		r.places["env."+name] = at
	}
	r.decides(path)
}
