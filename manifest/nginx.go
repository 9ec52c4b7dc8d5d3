package manifest

import (
	"maps"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// The properties of nginx:set that an app may have, and what their values look like.

var (
	nginxTime   = regexp.MustCompile(`^[0-9]+(ms|s|m|h|d)?$`)
	nginxSize   = regexp.MustCompile(`^[0-9]+[kKmMgG]?$`)
	nginxSizes  = regexp.MustCompile(`^[0-9]+ [0-9]+[kKmM]?$`)
	nginxNumber = regexp.MustCompile(`^[0-9]+$`)
	nginxValue  = regexp.MustCompile(`^\$?[A-Za-z0-9_$.:, -]+$`)
	nginxFormat = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
)

// nginxKinds are the properties with what is said to be a value of each.
func nginxKinds() map[string]func(string) string {
	timed := matches(nginxTime, "a time such as 60s")
	sized := matches(nginxSize, "a size such as 20m")
	truth := func(text string) string { return words(text, "true", "false") }
	onOff := func(text string) string { return words(text, "on", "off") }
	header := matches(nginxValue, "a variable of nginx or plain text")
	address := func(text string) string {
		if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err != nil {
			return "an IP address"
		}
		return ""
	}
	return map[string]func(string) string{
		"access-log-format": matches(nginxFormat, "the name of a log format"), "access-log-path": logPath, "error-log-path": logPath,
		"bind-address-ipv4": address, "bind-address-ipv6": address,
		"client-body-timeout": timed, "client-header-timeout": timed, "keepalive-timeout": timed, "lingering-timeout": timed, "send-timeout": timed,
		"proxy-connect-timeout": timed, "proxy-read-timeout": timed, "proxy-send-timeout": timed,
		"client-max-body-size": sized, "proxy-buffer-size": sized, "proxy-busy-buffers-size": sized,
		"proxy-buffers": matches(nginxSizes, "a number and a size such as 8 4k"), "proxy-buffering": onOff,
		"proxy-keepalive": matches(nginxNumber, "a whole number"), "underscore-in-headers": onOff, "x-forwarded-ssl": onOff,
		"disable-custom-config": truth, "hsts": truth, "hsts-include-subdomains": truth, "hsts-preload": truth,
		"hsts-max-age": matches(nginxNumber, "a whole number of seconds"),
		"nginx-conf-sigil-path": func(text string) string {
			if problem, _ := insidePath(text); problem != "" {
				return "a path inside the project, such as config/nginx.conf.sigil"
			}
			return ""
		},
		"x-forwarded-for-value": header, "x-forwarded-port-value": header, "x-forwarded-proto-value": header,
	}
}

func nginxProperties() []string { return slices.Sorted(maps.Keys(nginxKinds())) }

func checkNginxProperty(name string) (problem, hint string) {
	known := nginxProperties()
	if slices.Contains(known, name) {
		return "", ""
	}
	return "nginx." + show(name) + " is no property of nginx:set", didYouMean(name, known)
}

func checkNginxValue(name, text string) (problem, hint string) {
	if strings.ContainsAny(text, ";{}\"'\\#") || strings.ContainsFunc(text, unicode.IsControl) {
		return "holds a character that nginx would read as its own", "take it out"
	}
	if sound := nginxKinds()[name]; sound != nil {
		if want := sound(text); want != "" {
			return "is " + show(text), "write " + want
		}
	}
	return "", ""
}

// matches returns a check that says what is wanted where the form does not fit.
func matches(form *regexp.Regexp, want string) func(string) string {
	return func(text string) string {
		if form.MatchString(text) {
			return ""
		}
		return want
	}
}

func words(text string, known ...string) string {
	if slices.Contains(known, text) {
		return ""
	}
	return strings.Join(known, " or ")
}

// logPath keeps logs where logs are: nginx opens them as root.
func logPath(text string) string {
	if text == "off" || strings.HasPrefix(text, "/var/log/nginx/") && path.Clean(text) == text && !strings.ContainsFunc(text, unicode.IsSpace) {
		return ""
	}
	return "off, or a file below /var/log/nginx"
}
