package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// reviewCommands are the rows of this noun.
func reviewCommands() []Command {
	return []Command{
		{"review:create", "<app> <review-app> [--branch <branch>] [--ttl <time>] [--max <n>] [--domain <domain>] [--inherit <key>]...", "Make a review app of an app, or give it more time", reviewCreate},
		{"review:destroy", "<review-app> [--parent <app>]", "Run a review app's pr-predestroy and remove it, if it is there", reviewDestroy},
		{"review:gc", "[<app>] [--dry-run]", "Remove the review apps whose time is over", reviewGC},
		{"review:list", "[<app>] [--format text|json]", "List the review apps of an app or of all", reviewList},
		{"review:set", "[--global|<app>] <key> [<value>]", "Set or clear a limit of an app's review apps: inherit, max, ttl", reviewSet},
	}
}

// mostReviews is the largest quota.
const mostReviews = 10000

// longestTTL is the longest that a review app can be given at once.
const longestTTL = 365 * 24 * time.Hour

func checkMax(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 || n > mostReviews {
		return api.Errorf(api.Usage, "", "max is a whole number from 1 to %d, not %q", mostReviews, value)
	}
	return nil
}

func checkTTL(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < time.Second || d > longestTTL {
		return api.Errorf(api.Usage, "", "ttl is a time from 1s to %s such as 72h, not %q", longestTTL, value)
	}
	return nil
}

func checkInherit(value string) error {
	for key := range strings.SplitSeq(value, ",") {
		if err := manifest.EnvKey(key); err != nil {
			return api.Errorf(api.Usage, "", "inherit is config keys with commas between: %w", err)
		}
	}
	return nil
}

func reviewSet(ctx context.Context, call *Call) error {
	return call.set(ctx, "review", map[string]check{"inherit": checkInherit, "max": checkMax, "ttl": checkTTL})
}

var domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// reviewRequest reads the flags of review:create.
func (c *Call) reviewRequest() (request agent.ReviewRequest, err error) {
	texts := map[string]string{}
	for _, name := range []string{"--branch", "--ttl", "--max", "--domain"} {
		if texts[name], _, err = c.option(name); err != nil {
			return request, err
		}
	}
	if request.Inherit, err = c.options("--inherit"); err != nil {
		return request, err
	}
	for _, key := range request.Inherit {
		if err := manifest.EnvKey(key); err != nil {
			return request, api.Errorf(api.Usage, "", "--inherit: %w", err)
		}
	}
	slices.Sort(request.Inherit)
	request.Inherit = slices.Compact(request.Inherit)
	request.Branch, request.Domain = texts["--branch"], texts["--domain"]
	if strings.ContainsAny(request.Branch, "\r\n\x00") {
		return request, api.Errorf(api.Usage, "", "--branch is one line of text")
	}
	if request.Domain != "" && (len(request.Domain) > 190 || !domainForm.MatchString(request.Domain)) {
		return request, api.Errorf(api.Usage, "", "--domain: %q is no domain", request.Domain)
	}
	if text := texts["--ttl"]; text != "" {
		if err := checkTTL(text); err != nil {
			return request, err
		}
		request.TTL, _ = time.ParseDuration(text)
	}
	if text := texts["--max"]; text != "" {
		if err := checkMax(text); err != nil {
			return request, err
		}
		request.Max, _ = strconv.Atoi(text)
	}
	return request, nil
}

func reviewCreate(ctx context.Context, call *Call) error {
	request, err := call.reviewRequest()
	if err != nil {
		return err
	}
	if request.Parent, err = call.appSeen(ctx, call.Host.Reviewable); err != nil {
		return err
	}
	if len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Please specify a new app name")
	}
	request.Name, request.Bounded = call.Args[0], call.By.Apps != ""
	if err := call.Host.MayMakeReview(ctx, call.By, request.Name); err != nil {
		return err
	}
	review, made, missing, err := call.Host.MakeReview(ctx, request)
	if err != nil {
		return err
	}
	what := "Review app %s of %s is there"
	if made {
		what = "Creating review app %s of %s"
	}
	if review.Expires != nil {
		what += ", until " + review.Expires.UTC().Format(time.RFC3339)
	}
	call.say(what, review.Name, review.Parent)
	if len(missing) > 0 {
		fmt.Fprintf(call.Err, " !     %s has no %s to take over\n", review.Parent, strings.Join(missing, ", "))
	}
	return nil
}

func reviewDestroy(ctx context.Context, call *Call) error {
	parent, _, err := call.option("--parent")
	if err != nil {
		return err
	}
	call.flag("--force", "-f") // nobody is asked
	if call.App == "" && len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Please specify a review app")
	}
	name := call.App
	if name == "" {
		name = call.Args[0]
	}
	app, err := call.app(ctx)
	if api.AsError(err) != nil && api.AsError(err).Code == api.NotFound {
		call.say("There is no review app %s", name)
		return nil
	} else if err != nil {
		return err
	}
	reviews, err := call.Host.Reviews(parent)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(reviews, func(one agent.Review) bool { return one.Name == app }) { // what is none is refused below
		call.say("Destroying review app %s", app)
	}
	_, err = call.Host.RemoveReview(agent.WithStreams(ctx, agent.Streams{Out: call.Out, Err: call.Err}), app, parent, call.By)
	return err
}

// reviews are those of an app, or of all, that the caller may see.
func (c *Call) reviews(ctx context.Context) (parent string, found []agent.Review, err error) {
	if c.App != "" || len(c.Args) > 0 {
		if parent, err = c.appSeen(ctx, c.Host.Reviewable); err != nil {
			return "", nil, err
		}
	}
	if err := c.noMore(); err != nil {
		return "", nil, err
	}
	all, err := c.Host.Reviews(parent)
	if err != nil {
		return "", nil, err
	}
	visible, err := c.visibleApps(ctx)
	if err != nil {
		return "", nil, err
	}
	found = []agent.Review{}
	for _, one := range all {
		if slices.Contains(visible, one.Name) {
			found = append(found, one)
		}
	}
	return parent, found, nil
}

func reviewList(ctx context.Context, call *Call) error {
	format, _, err := call.option("--format")
	if err != nil {
		return err
	}
	if format != "" && format != "text" && format != "json" {
		return api.Errorf(api.Usage, "", "--format is text or json, not %q", format)
	}
	_, found, err := call.reviews(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		return json.NewEncoder(call.Out).Encode(found)
	}
	return reviewTable(call.Out, found)
}

func reviewTable(out io.Writer, found []agent.Review) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REVIEW APP\tAPP\tBRANCH\tEXPIRES\tDOMAIN")
	for _, one := range found {
		expires, domain, branch := "never", "-", "-"
		switch {
		case one.Going:
			expires = "is being removed"
		case one.Expired(time.Now()):
			expires = "expired"
		case one.Expires != nil:
			expires = one.Expires.UTC().Format(time.RFC3339)
		}
		if len(one.Domains) > 0 {
			domain = one.Domains[0]
		}
		if one.Branch != "" {
			branch = one.Branch
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", one.Name, one.Parent, branch, expires, domain)
	}
	return table.Flush()
}

func reviewGC(ctx context.Context, call *Call) error {
	dry := call.flag("--dry-run")
	parent, found, err := call.reviews(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	found = slices.DeleteFunc(found, func(one agent.Review) bool { return !one.Expired(now) })
	if dry {
		return reviewTable(call.Out, found)
	}
	ctx = agent.WithStreams(ctx, agent.Streams{Out: call.Out, Err: call.Err})
	if len(found) == 0 {
		return nil
	}
	var names []string
	for _, one := range found {
		names = append(names, one.Name)
	}
	gone, err := call.Host.ExpireReviews(ctx, parent, now, call.By, names...)
	for _, name := range gone {
		call.say("Destroyed review app %s", name)
	}
	return err
}
