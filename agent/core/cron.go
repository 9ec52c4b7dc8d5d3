package core

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
)

// cronWrite is the crontab of what plugins answer to cron-entries. An embedded host leaves
// its owner's crontab alone.
func cronWrite(ctx context.Context, a *ask) error {
	entries, err := a.cronEntries(ctx)
	if err != nil {
		return err
	}
	if a.Host.Config.Embedded {
		if len(entries) > 0 {
			a.warn(api.Errorf(api.Precondition, "", "an embedded host has no crontab: %d entries do not run", len(entries)))
		}
		return nil
	}
	former, err := a.crontab(ctx, "", "-l")
	if err != nil {
		former = "" // there is none yet
	}
	text := crontabWith(former, entries)
	if text == former {
		return nil
	}
	_, err = a.crontab(ctx, text, "-")
	return err
}

// cronEntries are crontab lines of the schedule;command[;logfile] that plugins print.
func (a *ask) cronEntries(ctx context.Context) ([]string, error) {
	said, err := a.answer(ctx, "cron-entries", "docker-local")
	if err != nil {
		return nil, err
	}
	var entries []string
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		parts := strings.Split(line, ";")
		if len(parts) < 2 || len(parts) > 3 || strings.TrimSpace(parts[0]) == "" || strings.ContainsAny(line, "\r\x00") {
			return nil, api.Errorf(api.Unclassified, "read the answer of cron-entries", "%q is not schedule;command;logfile", line)
		}
		entry := parts[0] + " " + parts[1]
		if len(parts) == 3 && parts[2] != "" {
			entry += " >> " + parts[2] + " 2>&1"
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// The lines between which the crontab is the agent's.
const (
	cronBegin = "# begin of what dokku-agent writes"
	cronEnd   = "# end of what dokku-agent writes"
)

// crontabWith replaces the agent's part of a crontab, which is its last; other lines stay.
func crontabWith(former string, entries []string) string {
	others, rest, found := strings.Cut(former, cronBegin+"\n")
	if found {
		_, after, _ := strings.Cut(rest, cronEnd+"\n")
		others += after
	}
	if others != "" && !strings.HasSuffix(others, "\n") {
		others += "\n"
	}
	if len(entries) == 0 {
		return others
	}
	return others + cronBegin + "\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" + strings.Join(entries, "\n") + "\n" + cronEnd + "\n"
}

// crontab runs the program of that name for the user whose process this is.
func (a *ask) crontab(ctx context.Context, text, argument string) (string, error) {
	var out, problems bytes.Buffer
	command := run.Cmd{Argv: []string{"crontab", argument}, Env: a.env, Stdin: strings.NewReader(text), Stdout: &out, Stderr: &problems}
	if err := command.Run(ctx); err != nil {
		return "", fmt.Errorf("write the crontab: %w: %s", err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}
