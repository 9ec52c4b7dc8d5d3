package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/remote"
)

// doctor says whether the host is ready for deploys. It needs no app.
func (c *client) doctor(ctx context.Context) error {
	asJSON, err := c.wantsJSON()
	if err != nil {
		return err
	}
	connection, err := c.connectHost(ctx)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	diagnosis, err := connection.Doctor(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(c.out).Encode(diagnosis)
	} else {
		err = c.printDiagnosis(diagnosis)
	}
	if err == nil && diagnosis.Count(api.HealthFailure) > 0 {
		return &exitError{code: api.Exit(&api.Error{Code: api.Configuration})}
	}
	return err
}

// connectHost connects to the host that a flag, a variable or the project names.
func (c *client) connectHost(ctx context.Context) (*push.Connection, error) {
	target, err := c.hostTarget()
	if err != nil {
		return nil, err
	}
	return push.Connect(ctx, target)
}

// hostTarget is where that host is.
func (c *client) hostTarget() (remote.Options, error) {
	var app *manifest.App
	project, err := push.Load(quiet(c.options))
	switch {
	case project != nil:
		app = project.App
	case c.options.Host == "":
		return remote.Options{}, err
	}
	return push.Target(c.options, app)
}

func (c *client) printDiagnosis(diagnosis api.Diagnosis) error {
	var text strings.Builder
	for _, f := range diagnosis.Findings {
		line := fmt.Sprintf("%-8s%s  %s: %s", f.Level, f.Code, api.HealthTitle(f.Code), f.Message)
		fmt.Fprintln(&text, report.Legible(withHint(line, f.Hint)))
	}
	if _, err := fmt.Fprint(c.answer(), text.String()); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%d failures, %d warnings\n", diagnosis.Count(api.HealthFailure), diagnosis.Count(api.HealthWarning))
	return nil
}
