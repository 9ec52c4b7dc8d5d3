package manifest

// NginxProperties names the properties that nginx:set knows, sorted.
func NginxProperties() []string { return nginxProperties() }

// NginxProperty tells what is wrong with a value of a property of nginx:set, and what to
// write instead; nothing when it is sound.
func NginxProperty(name, value string) (problem, hint string) { return checkNginxValue(name, value) }
