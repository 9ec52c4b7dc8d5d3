package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kevinburke/ssh_config"

	"github.com/dokku-push/dokku-push/api"
)

// sshConfig is what the user's and the system's ssh_config say, the user's first.
type sshConfig struct {
	home    string
	files   []configFile
	ignored []string // FILE:LINE of Match blocks that only OpenSSH can evaluate
}

type configFile struct {
	path   string
	parsed *ssh_config.Config
}

// readConfig reads the files that exist; one that cannot be parsed is an error
// that names it.
func readConfig(home, only string) (*sshConfig, error) {
	paths := []string{filepath.Join(home, ".ssh", "config"), "/etc/ssh/ssh_config"}
	if only != "" {
		paths = []string{only}
	}
	c := &sshConfig{home: home}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && only == "" {
			continue
		}
		if err != nil {
			return nil, api.Errorf(api.Configuration, "read the ssh configuration", "%w", err)
		}
		text, ignored := withoutMatch(text)
		for _, line := range ignored {
			c.ignored = append(c.ignored, fmt.Sprintf("%s:%d", path, line))
		}
		parsed, err := decode(text)
		if err != nil {
			return nil, api.Errorf(api.Configuration, "read the ssh configuration", "%s: %w", path, err).
				WithHint("`ssh -G HOST` says whether OpenSSH can read the file")
		}
		c.files = append(c.files, configFile{path, parsed})
	}
	return c, nil
}

// decode turns the parser's panics on malformed text into errors, and refuses
// keywords without a value, which it lets pass.
func decode(text []byte) (parsed *ssh_config.Config, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	if parsed, err = ssh_config.DecodeBytes(text); err != nil {
		return nil, err
	}
	for _, host := range parsed.Hosts {
		for _, node := range host.Nodes {
			if pair, ok := node.(*ssh_config.KV); ok && pair.Value == "" {
				return nil, fmt.Errorf("line %d: %s has no value", pair.Pos().Line, pair.Key)
			}
		}
	}
	return parsed, nil
}

// withoutMatch rewrites the Match blocks that say no more than a Host block (host
// is compared with the alias), and makes the others apply to no host. It returns
// the line numbers of those.
func withoutMatch(text []byte) ([]byte, []int) {
	var ignored []int
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines {
		words := strings.Fields(strings.Replace(string(line), "=", " ", 1))
		if len(words) == 0 || !strings.EqualFold(words[0], "match") {
			continue
		}
		switch kind := strings.ToLower(strings.Join(words[1:min(2, len(words))], "")); {
		case kind == "all" && len(words) == 2:
			lines[i] = []byte("Host *")
		case (kind == "originalhost" || kind == "host") && len(words) == 3:
			lines[i] = []byte("Host " + strings.ReplaceAll(unquote(words[2]), ",", " "))
		default:
			lines[i] = []byte("Host !*")
			ignored = append(ignored, i+1)
		}
	}
	return bytes.Join(lines, []byte("\n")), ignored
}

// get returns the first value of a keyword for an alias, and the file that has it.
func (c *sshConfig) get(alias, keyword string) (value, file string) {
	for _, f := range c.files {
		if value, err := f.parsed.Get(alias, keyword); err == nil && value != "" {
			return unquote(value), f.path
		}
	}
	return "", ""
}

// all returns every value of a keyword that may stand several times.
func (c *sshConfig) all(alias, keyword string) []string {
	var values []string
	for _, f := range c.files {
		found, err := f.parsed.GetAll(alias, keyword)
		if err != nil {
			continue // only a node of a kind that the parser itself never makes
		}
		for _, value := range found {
			values = append(values, unquote(value))
		}
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
	for _, f := range c.files {
		value, err := f.parsed.Get(s.alias, "UserKnownHostsFile")
		if err != nil || value == "" {
			continue
		}
		s.knownHosts = []string{}
		for _, path := range splitQuoted(value) {
			if strings.EqualFold(path, "none") {
				continue
			}
			full, err := expand("UserKnownHostsFile", path)
			if err != nil {
				return err
			}
			s.knownHosts = append(s.knownHosts, full)
		}
		break
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
