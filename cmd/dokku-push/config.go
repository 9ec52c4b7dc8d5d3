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
	explained, err := push.Explain(c.options, c.args[1])
	if err != nil {
		return err
	}
	asJSON, err := c.wantsJSON()
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(c.out).Encode(explained)
	}
	fmt.Fprintf(c.out, "%s = %s\n  from %s\n", report.Legible(explained.Key), report.Legible(explained.Winner.Value), explained.Winner.Source)
	for _, loser := range explained.Losers {
		fmt.Fprintf(c.out, "  over %s: %s\n", loser.Source, report.Legible(loser.Value))
	}
	return nil
}
