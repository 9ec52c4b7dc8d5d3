package manifest

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What names of the network may look like: domains, ports, addresses of repositories.

const (
	maxDomain = 253 // bytes
	maxPorts  = 50  // of one app
)

func checkDomain(name string) (problem, hint string) {
	const write = "write a name such as www.example.com"
	host := strings.TrimPrefix(name, "*.")
	switch {
	case name == "":
		return "is empty", write
	case len(name) > maxDomain:
		return fmt.Sprintf("is longer than %d bytes", maxDomain), write
	case strings.Contains(name, "://"):
		return "is a URL", "write only the name in it"
	case strings.HasSuffix(name, "."):
		return "ends with a dot", "write it without"
	case strings.Contains(host, "*"):
		return "has a * that is not its first label", "write *.example.com, or each name"
	case strings.ContainsFunc(name, func(c rune) bool { return c > unicode.MaxASCII }):
		return "is not ASCII", "write it in punycode: xn--…"
	case host == "localhost":
		return "is the host itself", write
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "is an IP address", write
	}
	for label := range strings.SplitSeq(host, ".") {
		lower := strings.ToLower(label)
		switch {
		case label == "":
			return "has two dots in a row or begins with one", write
		case len(label) > maxName:
			return fmt.Sprintf("has a part longer than %d bytes", maxName), write
		case strings.ContainsFunc(lower, func(c rune) bool { return !isLabelRune(c) }):
			return "holds more than letters, digits, hyphens and dots", write
		case strings.HasPrefix(label, "-"), strings.HasSuffix(label, "-"):
			return "has a part that begins or ends with a hyphen", write
		}
	}
	if lower := strings.ToLower(name); lower != name {
		return "holds upper-case letters", "write " + lower
	}
	return "", ""
}

func checkReviewDomain(name string) (problem, hint string) {
	if problem, hint = checkDomain(name); problem != "" {
		return problem, hint
	}
	if strings.HasPrefix(name, "*.") || !strings.Contains(name, ".") {
		return "is no domain to make names under", "write it without *., such as review.example.com"
	}
	return "", ""
}

// schemes are those of a port map; nginx proxies all but the last two.
func schemes() []string { return []string{"http", "https", "grpc", "grpcs", "tcp", "udp"} }

func checkPort(text string) (problem, hint string) {
	const write = "write scheme:host:container, such as http:80:5000"
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return "is no port map", write
	}
	if !slices.Contains(schemes(), parts[0]) {
		return "has the scheme " + show(parts[0]), didYouMean(parts[0], schemes())
	}
	for _, port := range parts[1:] {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return "has the port " + show(port), "write a port from 1 to 65535"
		}
	}
	return "", ""
}

// checkPorts looks for two entries that want the same port of the host.
func checkPorts(list []string) (index int, problem, hint string) {
	taken := map[string]string{}
	for i, entry := range list {
		scheme, rest, _ := strings.Cut(entry, ":")
		host, _, _ := strings.Cut(rest, ":")
		if scheme == "udp" {
			host = "udp " + host
		}
		if former := taken[host]; former != "" {
			return i, "ports: " + entry + " and " + former + " want the same port of the host", "keep one of the two"
		}
		taken[host] = entry
	}
	if len(list) > maxPorts {
		return maxPorts, fmt.Sprintf("ports has more than %d entries", maxPorts), "an app needs fewer"
	}
	return 0, "", ""
}

func checkGitURL(text string) (problem, hint string) {
	const write = "write an address that git clones over https or ssh, such as https://github.com/dokku/dokku-redis.git"
	if strings.HasPrefix(text, "git@") && strings.Contains(text, ":") && !strings.ContainsFunc(text, unicode.IsSpace) {
		return "", ""
	}
	address, err := url.Parse(text)
	switch {
	case err != nil || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }):
		return "is no URL", write
	case address.Scheme != "https" && address.Scheme != "ssh" || address.Host == "" || strings.HasPrefix(address.Host, "-"):
		return "is no address to clone from", write
	}
	if _, secret := address.User.Password(); secret || address.User != nil && address.Scheme == "https" {
		return "holds credentials", "take them out: the file is read by many"
	}
	return "", ""
}

func checkCommittish(text string) (problem, hint string) {
	const write = "write a tag, a branch or a commit"
	if !namePattern.MatchString(text) || strings.Contains(text, "..") || len(text) > maxEnvKey {
		return "is no name of a revision", write
	}
	return "", ""
}

func checkPublicKey(text string) (problem, hint string) {
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, unicode.IsControl) || !authorizedForm.MatchString(text) {
		return "is no public key", "write one line of a .pub file, without options before it"
	}
	return "", ""
}
