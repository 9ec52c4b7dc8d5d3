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

	"github.com/kevinburke/ssh_config"

	"github.com/dokku-push/dokku-push/api"
)

// sshConfig is what the user's and the system's ssh_config say, the user's first.
type sshConfig struct {
	home    string
	files   []configFile
	ignored []string // FILE:LINE of Match blocks that only OpenSSH can evaluate
}

// configFile is one file with those that it includes.
type configFile struct {
	path     string
	parsed   *ssh_config.Config
	included [][]configFile // of each Include line, which stands in parsed as includedHere
}

// includedHere takes an Include line's place for the parser, whose own Include knows
// neither ~ nor a Match block in the file. Its value is an index of configFile.included.
const includedHere = "IncludedHere"

// maxIncludes is how deep files include each other, as in OpenSSH.
const maxIncludes = 16

// readConfig reads the files that exist; one that cannot be parsed is an error
// that names it.
func readConfig(home, only string) (*sshConfig, error) {
	c := &sshConfig{home: home}
	user := filepath.Join(home, ".ssh")
	if only != "" {
		file, err := c.read(only, user, 0)
		c.files = append(c.files, file)
		return c, err
	}
	for _, folder := range []string{user, "/etc/ssh"} {
		name := "config"
		if folder != user {
			name = "ssh_config"
		}
		file, err := c.read(filepath.Join(folder, name), folder, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.files = append(c.files, file)
	}
	return c, nil
}

// read parses one file and what it includes: names without a folder are in the one given.
func (c *sshConfig) read(path, folder string, depth int) (configFile, error) {
	refuse := func(err error) (configFile, error) {
		return configFile{}, api.Errorf(api.Configuration, "read the ssh configuration", "%s: %w", path, err).
			WithHint("`ssh -G HOST` says whether OpenSSH can read the file")
	}
	if depth > maxIncludes {
		return refuse(errors.New("files include each other too deep, or in circles"))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return configFile{}, api.Errorf(api.Configuration, "read the ssh configuration", "%w", err)
	}
	text, includes, ignored := understood(text)
	for _, line := range ignored {
		c.ignored = append(c.ignored, fmt.Sprintf("%s:%d", path, line))
	}
	file := configFile{path: path}
	if file.parsed, err = decode(text); err != nil {
		return refuse(err)
	}
	for _, patterns := range includes {
		var group []configFile
		for _, pattern := range patterns {
			found, err := filepath.Glob(c.place(pattern, folder))
			if err != nil {
				return refuse(fmt.Errorf("include %s: %w", pattern, err))
			}
			for _, name := range found { // none is no mistake
				if info, err := os.Stat(name); err == nil && info.IsDir() {
					continue
				}
				inner, err := c.read(name, folder, depth+1)
				if err != nil {
					return configFile{}, err
				}
				group = append(group, inner)
			}
		}
		file.included = append(file.included, group)
	}
	return file, nil
}

// place is where an Include's pattern leads.
func (c *sshConfig) place(pattern, folder string) string {
	if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
		return filepath.Join(c.home, rest)
	}
	if filepath.IsAbs(pattern) {
		return pattern
	}
	return filepath.Join(folder, pattern)
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

// understood rewrites what the parser does not know. Match blocks that say no more than a
// Host block become one (host is compared with the alias), the others apply to no host:
// their line numbers are ignored. Include lines become includedHere; includes are their
// patterns.
func understood(text []byte) (rewritten []byte, includes [][]string, ignored []int) {
	lines := bytes.Split(text, []byte("\n"))
	applies := true
	for i, line := range lines {
		keyword, words := wordsOf(string(line))
		switch strings.ToLower(keyword) {
		case "host":
			applies = true
		case "match":
			var host string
			if host, applies = asHost(words); !applies {
				host = "!*"
				ignored = append(ignored, i+1)
			}
			lines[i] = []byte("Host " + host)
		case "include":
			lines[i] = nil
			if applies {
				lines[i] = fmt.Appendf(nil, "%s %d", includedHere, len(includes))
				includes = append(includes, words)
			}
		}
	}
	return bytes.Join(lines, []byte("\n")), includes, ignored
}

// asHost is what a Host line would say in place of a Match line with these words.
func asHost(words []string) (host string, ok bool) {
	if len(words) == 0 {
		return "", false
	}
	switch kind := strings.ToLower(words[0]); {
	case kind == "all" && len(words) == 1:
		return "*", true
	case (kind == "originalhost" || kind == "host") && len(words) == 2:
		return strings.ReplaceAll(words[1], ",", " "), true
	}
	return "", false
}

// wordsOf takes a line apart: KEYWORD WORDS or KEYWORD=WORDS, up to a comment.
func wordsOf(line string) (keyword string, words []string) {
	line = strings.TrimSpace(line)
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return line, nil
	}
	words = splitQuoted(strings.TrimPrefix(strings.TrimLeft(line[end:], " \t"), "="))
	for i, word := range words {
		if strings.HasPrefix(word, "#") {
			return line[:end], words[:i]
		}
	}
	return line[:end], words
}

// said is one value of a keyword.
type said struct{ value, file string }

// said is every value of a keyword for an alias, in the order in which OpenSSH meets them.
func (c *sshConfig) said(alias, keyword string) []said {
	var all []said
	for _, f := range c.files {
		all = f.said(all, alias, keyword)
	}
	return all
}

// said adds a file's values of a keyword to all.
func (f configFile) said(all []said, alias, keyword string) []said {
	for _, host := range f.parsed.Hosts {
		if !host.Matches(alias) {
			continue
		}
		for _, node := range host.Nodes {
			pair, ok := node.(*ssh_config.KV)
			if !ok {
				continue
			}
			if n, err := strconv.Atoi(pair.Value); pair.Key == includedHere && err == nil && n >= 0 && n < len(f.included) {
				for _, inner := range f.included[n] {
					all = inner.said(all, alias, keyword)
				}
			} else if strings.EqualFold(pair.Key, keyword) {
				all = append(all, said{pair.Value, f.path})
			}
		}
	}
	return all
}
