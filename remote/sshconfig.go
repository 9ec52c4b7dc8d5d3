package remote

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// get returns the first value of a keyword for an alias, and the file that has it.
func (c *sshConfig) get(alias, keyword string) (value, file string) {
	for _, said := range c.said(alias, keyword) {
		if said.value != "" {
			return unquote(said.value), said.file
		}
	}
	return "", ""
}

// all returns every value of a keyword that may stand several times.
func (c *sshConfig) all(alias, keyword string) []string {
	var values []string
	for _, said := range c.said(alias, keyword) {
		values = append(values, unquote(said.value))
	}
	return values
}

// settings is what the configuration says of one host.
type settings struct {
	alias          string
	target         Target // the user may be empty
	identityFiles  []string
	identitiesOnly bool
	identityAgent  string
	knownHosts     []string // nil: not said
	hostKeyAlias   string
	jumps          []string
	timeout        time.Duration
}

// of resolves a host that the user wrote. What stands in the text itself wins.
func (c *sshConfig) of(text Target, localUser string) (settings, error) {
	alias := text.Host
	s := settings{alias: alias, target: text}
	wrong := func(keyword, value, file string) error {
		return api.Errorf(api.Configuration, "read the ssh configuration", "%s: %s %q for %s is not valid", file, keyword, value, alias)
	}
	if name, file := c.get(alias, "HostName"); name != "" {
		s.target.Host = strings.Trim(strings.ReplaceAll(name, "%h", alias), "[]")
		if strings.HasPrefix(s.target.Host, "-") || badIn(s.target.Host, ".-_:%") != "" {
			return s, wrong("HostName", name, file)
		}
	}
	if port, file := c.get(alias, "Port"); port != "" && s.target.Port == 0 {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return s, wrong("Port", port, file)
		}
		s.target.Port = int(n)
	}
	if user, _ := c.get(alias, "User"); s.target.User == "" {
		s.target.User = user
	}
	if seconds, file := c.get(alias, "ConnectTimeout"); seconds != "" && seconds != "none" {
		n, err := strconv.ParseUint(seconds, 10, 31)
		if err != nil {
			return s, wrong("ConnectTimeout", seconds, file)
		}
		s.timeout = time.Duration(n) * time.Second
	}
	s.hostKeyAlias, _ = c.get(alias, "HostKeyAlias")
	only, _ := c.get(alias, "IdentitiesOnly")
	s.identitiesOnly = strings.EqualFold(only, "yes")
	return s, errors.Join(c.proxy(&s), c.paths(&s, localUser))
}

// proxy reads how the host is reached.
func (c *sshConfig) proxy(s *settings) error {
	jump, _ := c.get(s.alias, "ProxyJump")
	if jump != "" {
		if !strings.EqualFold(jump, "none") {
			s.jumps = strings.Split(jump, ",")
		}
		return nil
	}
	if command, file := c.get(s.alias, "ProxyCommand"); command != "" && !strings.EqualFold(command, "none") {
		return api.Errorf(api.Configuration, "connect to "+s.alias, "%s sets a ProxyCommand for this host, and commands are not run", file).
			WithHint("use ProxyJump for the host in %s", file)
	}
	return nil
}

// paths reads the keywords that name files.
func (c *sshConfig) paths(s *settings, localUser string) error {
	expand := func(keyword, path string) (string, error) {
		full, err := c.expand(path, s, localUser)
		if err != nil {
			return "", api.Errorf(api.Configuration, "read the ssh configuration", "%s %q for %s: %w", keyword, path, s.alias, err)
		}
		return full, nil
	}
	for _, path := range c.all(s.alias, "IdentityFile") {
		if strings.EqualFold(path, "none") {
			continue
		}
		full, err := expand("IdentityFile", path)
		if err != nil {
			return err
		}
		s.identityFiles = append(s.identityFiles, full)
	}
	if files := c.said(s.alias, "UserKnownHostsFile"); len(files) > 0 { // each may be quoted by itself
		s.knownHosts = []string{}
		for _, path := range splitQuoted(files[0].value) {
			if strings.EqualFold(path, "none") {
				continue
			}
			full, err := expand("UserKnownHostsFile", path)
			if err != nil {
				return err
			}
			s.knownHosts = append(s.knownHosts, full)
		}
	}
	socket, _ := c.get(s.alias, "IdentityAgent")
	switch {
	case socket == "" || socket == "SSH_AUTH_SOCK":
	case strings.EqualFold(socket, "none"):
		s.identityAgent = "none"
	case strings.HasPrefix(socket, "$"):
		s.identityAgent = os.Getenv(strings.Trim(socket[1:], "{}"))
	default:
		full, err := expand("IdentityAgent", socket)
		if err != nil {
			return err
		}
		s.identityAgent = full
	}
	return nil
}

// expand replaces ~ and the tokens that OpenSSH knows in names of key files.
func (c *sshConfig) expand(path string, s *settings, localUser string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		path = c.home + path[1:]
	}
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			out.WriteByte(path[i])
			continue
		}
		i++
		if i == len(path) {
			return "", errors.New("a % stands alone at the end")
		}
		switch path[i] {
		case '%':
			out.WriteByte('%')
		case 'd':
			out.WriteString(c.home)
		case 'h':
			out.WriteString(s.target.Host)
		case 'n':
			out.WriteString(s.alias)
		case 'p':
			out.WriteString(strconv.Itoa(s.target.or(Target{Port: DefaultPort}).Port))
		case 'r':
			out.WriteString(s.target.or(Target{User: DefaultUser}).User)
		case 'u':
			out.WriteString(localUser)
		default:
			return "", fmt.Errorf("the token %%%c is not known; %%d %%h %%n %%p %%r %%u are", path[i])
		}
	}
	return out.String(), nil
}

// unquote takes away the double quotes around a whole value.
func unquote(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// splitQuoted splits at blanks outside double quotes.
func splitQuoted(value string) []string {
	quoted := false
	words := strings.FieldsFunc(value, func(c rune) bool {
		if c == '"' {
			quoted = !quoted
		}
		return !quoted && (c == ' ' || c == '\t')
	})
	for i, word := range words {
		words[i] = strings.ReplaceAll(word, `"`, "")
	}
	return words
}
