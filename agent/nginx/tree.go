package nginx

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// testSuffix marks the copies that are tested. They stand beside the main file, for
// nginx reads relative paths from the main file's folder.
const testSuffix = ".dokku-test"

// copied is a copy of nginx's main file in which apps' files can be replaced.
type copied struct {
	main   string
	files  []string
	origin map[string]string // of a copied or replacing file: which it stands for
}

var (
	includeLine = regexp.MustCompile(`(?m)^([ \t]*)include[ \t]+([^;\n]+);`)
	pidLine     = regexp.MustCompile(`(?m)^[ \t]*pid[ \t]+[^;\n]+;`)
)

// copyTree writes the copy. Only the include of the apps' files is taken apart, in
// the main file or one that it includes; everything else is read where it is.
func (n *Nginx) copyTree(overrides string) (*copied, error) {
	text, err := os.ReadFile(n.Config.Conf)
	if err != nil {
		return nil, api.Errorf(api.ProxyFailed, opTest, "read nginx's main file: %w", err)
	}
	c := &copied{main: n.Config.Conf + testSuffix, origin: map[string]string{}}
	c.files = []string{c.main, c.main + ".pid"}
	sites, err := n.sites(c, overrides)
	if err != nil {
		return nil, err
	}
	main, found, err := n.expand(c, string(text), sites, true)
	if err == nil && !found {
		err = api.Errorf(api.ProxyFailed, opTest, "%s does not include %s", n.Config.Conf, n.sitesPattern()).
			WithHint("run dokku-agent install on the host")
	}
	if err == nil {
		main = pidLine.ReplaceAllLiteralString(main, "pid "+c.main+".pid;")
		err = c.write(c.main, n.Config.Conf, main)
	}
	if err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

// sites are the include lines that stand for the apps' files, in nginx's order.
func (n *Nginx) sites(c *copied, overrides string) (string, error) {
	apps, err := n.apps()
	if err != nil {
		return "", err
	}
	replaced := map[string]bool{}
	if overrides != "" {
		files, err := filepath.Glob(filepath.Join(overrides, "*.conf"))
		if err != nil {
			return "", fmt.Errorf("list the files to test: %w", err)
		}
		for _, file := range files {
			app := strings.TrimSuffix(filepath.Base(file), ".conf")
			replaced[app] = true
			c.origin[file] = n.Places.NginxConf(app)
		}
	}
	var out strings.Builder
	for _, app := range apps {
		path := n.Places.NginxConf(app)
		if replaced[app] {
			path = filepath.Join(overrides, app+".conf")
			delete(replaced, app)
		}
		fmt.Fprintf(&out, "include %s;\n", strconv.Quote(path))
	}
	for app := range replaced {
		fmt.Fprintf(&out, "include %s;\n", strconv.Quote(filepath.Join(overrides, app+".conf")))
	}
	return out.String(), nil
}

// expand replaces the include of the apps' files in a text; found tells that it
// was there. Of the main file's own includes, those that lead to it are copied.
func (n *Nginx) expand(c *copied, text, sites string, deeper bool) (expanded string, found bool, err error) {
	expanded = includeLine.ReplaceAllStringFunc(text, func(line string) string {
		parts := includeLine.FindStringSubmatch(line)
		pattern := strings.Trim(strings.TrimSpace(parts[2]), `"'`)
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(n.Config.Conf), pattern)
		}
		if pattern == n.sitesPattern() {
			found = true
			return sites
		}
		if !deeper || err != nil {
			return line
		}
		list, leads, problem := n.expandIncluded(c, pattern, sites)
		if problem != nil {
			err = problem
		}
		if !leads {
			return line
		}
		found = true
		return list
	})
	return expanded, found, err
}

// expandIncluded is one include of the main file that may lead to the apps' files.
func (n *Nginx) expandIncluded(c *copied, pattern, sites string) (list string, leads bool, err error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return "", false, nil // no pattern of Go's: nginx may read it, it is not ours
	}
	var out strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // nginx will say so itself
		}
		inner, found, err := n.expand(c, string(text), sites, false)
		if err != nil {
			return "", false, err
		}
		if found {
			leads = true
			replaced := c.main + "." + strconv.Itoa(len(c.files))
			if err := c.write(replaced, file, inner); err != nil {
				return "", false, err
			}
			file = replaced
		}
		fmt.Fprintf(&out, "include %s;\n", strconv.Quote(file))
	}
	return out.String(), leads, nil
}

func (c *copied) write(path, origin, text string) error {
	c.files = append(c.files, path)
	c.origin[path] = origin
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return api.Errorf(api.ProxyFailed, opTest, "write a copy of nginx's main file: %w", err)
	}
	return nil
}

// originalNames makes nginx's messages speak of the files that the copies stand for.
func (c *copied) originalNames(text string) string {
	for path, origin := range c.origin {
		text = strings.ReplaceAll(text, path+":", origin+":")
	}
	return text
}

func (c *copied) remove() {
	for _, path := range c.files {
		_ = os.Remove(path) // a copy that stays is overwritten by the next test
	}
}
