package command

import (
	"context"
	"fmt"

	"github.com/dokku-push/dokku-push/api"
)

// urlsCommands are the rows of this noun.
func urlsCommands() []Command {
	return []Command{
		{"url", "<app>", "Show the first URL of an app", url},
		{"urls", "<app>", "Show all URLs of an app", urls},
	}
}

func url(ctx context.Context, call *Call) error {
	all, err := call.urls(ctx, "url")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(call.Out, all[0])
	return err
}

func urls(ctx context.Context, call *Call) error {
	all, err := call.urls(ctx, "urls")
	if err != nil {
		return err
	}
	for _, one := range all {
		fmt.Fprintln(call.Out, one)
	}
	return nil
}

// urls are an app's addresses, or what a plugin says instead.
func (c *Call) urls(ctx context.Context, kind string) ([]string, error) {
	app, err := c.app(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.Host.Addresses(ctx, app, kind)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, api.Errorf(api.Precondition, "", "%s has no domains", app).WithHint("domains:add %s example.com", app)
	}
	return all, nil
}
