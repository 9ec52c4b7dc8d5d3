package imports

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// builder reads which builder was chosen.
func (l *look) builder(ctx context.Context) error {
	r, known, err := l.report(ctx, "builder:report", "builder", l.app)
	if err != nil || !known {
		return err
	}
	if name := r.get("selected"); name != "" {
		if refused("build {\n  builder = "+quote(name)+"\n}\n") == "" {
			l.file.block("build", []row{{"builder", quote(name)}})
		} else {
			l.stay("builder:set " + l.app + " selected " + name + ": dokku-push builds with a Dockerfile, buildpacks (pack) or neither (static)")
		}
	}
	if dir := r.get("build-dir"); dir != "" {
		l.stay("builder:set " + l.app + " build-dir " + dir + ": run dokku-push in that folder, or say build { context }")
	}
	return nil
}

// certificate tells of the app's certificate. Its key never leaves the host.
func (l *look) certificate(ctx context.Context) error {
	r, known, err := l.report(ctx, "certs:report", "ssl", l.app)
	if err != nil || !known || r.get("enabled") != "true" {
		return err
	}
	line := "certificate for " + r.get("hostnames")
	if until := r.get("expires-at"); until != "" {
		line += " until " + until
	}
	if strings.Contains(r.get("issuer"), "Let's Encrypt") {
		line += " (Let's Encrypt)"
	}
	l.stay(line + ": certs:add " + l.app)
	return nil
}

var cronForm = regexp.MustCompile(`^\S+\s+\S.*$`)

// cron counts scheduled commands: they are app.json's, which the tree has.
func (l *look) cron(ctx context.Context) error {
	answer, err := l.command(ctx, "cron:list", l.app)
	if err != nil || answer.unknownCommand() {
		return err
	}
	command := "cron:list " + l.app
	if err := answer.good(command); err != nil {
		return err
	}
	count := 0
	for n, line := range lines(answer.Out) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "ID ") || strings.HasPrefix(line, "=====> ") {
			continue
		}
		if !cronForm.MatchString(line) {
			return unknown(command, n, line)
		}
		count++
	}
	if count > 0 {
		l.stay(fmt.Sprintf("scheduled commands (%d): app.json's cron, keep it in the tree", count))
	}
	return nil
}

// surroundings tells of what else is set for the app and has no word in dokku.hcl.
func (l *look) surroundings(ctx context.Context) error {
	for _, one := range []struct {
		command, noun string
		usual         map[string]string // of the properties that are looked at
	}{
		{"git", "git", map[string]string{"deploy-branch": "", "keep-git-dir": "false", "rev-env-var": "GIT_REV"}},
		{"network", "network", map[string]string{"attach-post-create": "", "attach-post-deploy": "", "initial-network": "", "bind-all-interfaces": "false", "static-web-listener": "", "tld": ""}},
		{"proxy", "proxy", map[string]string{"enabled": "true", "type": "nginx"}},
		{"scheduler", "scheduler", map[string]string{"selected": "docker-local"}},
		{"registry", "registry", map[string]string{"image-repo": "", "server": "", "push-on-release": "false"}},
	} {
		r, known, err := l.report(ctx, one.command+":report", one.noun, l.app)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(one.usual)) {
			value := r.get(key)
			switch {
			case value == "" || value == one.usual[key]:
			case key == "enabled":
				l.stay("proxy:disable " + l.app)
			default:
				l.stay(one.command + ":set " + l.app + " " + key + " " + value)
			}
		}
	}
	return nil
}
