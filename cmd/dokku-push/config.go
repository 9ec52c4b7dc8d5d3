package main

import (
	"encoding/json"
	"fmt"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
)

// config explains where a setting of the project comes from. It speaks to no host.
func (c *client) config() error {
	if len(c.args) != 2 || c.args[0] != "explain" {
		return api.Errorf(api.Usage, "", "config explain takes one key").WithHint("dokku-push config explain formation.web.quantity")
	}
	asJSON, err := c.wantsJSON()
	if err != nil {
		return err
	}
	apps, err := c.apps()
	if err != nil {
		return err
	}
	for _, app := range apps {
		if err := c.explain(app, c.args[1], asJSON, len(apps) > 1); err != nil {
			return err
		}
	}
	return nil
}

// explain explains a setting of one app; several are told apart by their names, in JSON
// one object a line.
func (c *client) explain(app, key string, asJSON, several bool) error {
	options := c.options
	options.App = app
	explained, err := push.Explain(options, key)
	if err != nil {
		return err
	}
	if several {
		explained.App = app
	}
	if asJSON {
		return json.NewEncoder(c.out).Encode(explained)
	}
	out := c.answer()
	if several {
		fmt.Fprintf(out, "%s: ", app)
	}
	fmt.Fprintf(out, "%s = %s\n  from %s\n", report.Legible(explained.Key), report.Legible(explained.Winner.Value), explained.Winner.Source)
	for _, loser := range explained.Losers {
		fmt.Fprintf(out, "  over %s: %s\n", loser.Source, report.Legible(loser.Value))
	}
	return nil
}
