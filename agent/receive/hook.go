package receive

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// update is one ref that a push would move.
type update struct{ old, commit, ref string }

func (u update) removes() bool { return strings.Trim(u.commit, "0") == "" }

// branch is the ref's branch; false for tags and their like.
func (u update) branch() (string, bool) { return strings.CutPrefix(u.ref, "refs/heads/") }

// Hook is the pre-receive hook of an app's repository: it builds and deploys what comes to
// the deploy branch, hands other branches to plugins, and refuses the push when that
// fails. Only a push that ReceivePack serves gets here.
func (r *Receiver) Hook(ctx context.Context, app string) error {
	if app == "" || os.Getenv(receives) != app || os.Getenv("GIT_DIR") == "" {
		return api.Errorf(api.Refused, "", "git-hook is called by git push alone")
	}
	if err := r.exists(ctx, app); err != nil {
		return err
	}
	updates, err := readUpdates(r.In)
	if err != nil {
		return err
	}
	quarantine, shallow := os.Getenv("GIT_QUARANTINE_PATH"), os.Getenv("GIT_SHALLOW_FILE")
	for _, pair := range os.Environ() { // plugins are to see repositories as anybody does
		if name, _, _ := strings.Cut(pair, "="); ofRepository(name) {
			_ = os.Unsetenv(name) // fails never for a name that is set
		}
	}
	_ = os.Setenv(shallowVariable, shallow) // fails never: it holds no NUL
	defer func() { _ = os.Unsetenv(shallowVariable) }()
	if quarantine != "" && r.plugins() {
		if err := adopt(r.Host.Places.App(app), quarantine); err != nil {
			return err
		}
	} else if quarantine != "" {
		_ = os.Setenv(quarantineVariable, quarantine) // fails never: it holds no NUL
		defer func() { _ = os.Unsetenv(quarantineVariable) }()
	}
	if err := movable(ctx, r.Host.Places.App(app), updates); err != nil {
		return err
	}
	if err := r.chooseBranch(ctx, app, updates); err != nil {
		return err
	}
	if err := follow(ctx, r.Host, app); err != nil {
		return err
	}
	if err := r.deployLast(app, updates); err != nil {
		return err
	}
	ctx = agent.WithStreams(ctx, agent.Streams{Out: r.Out, Err: r.Err})
	for _, one := range updates {
		if err := r.receive(ctx, app, one); err != nil {
			return err
		}
	}
	return nil
}

// plugins tells whether any plugin has a part in what becomes of a push, and so may look for
// its commits in the app's repository.
func (r *Receiver) plugins() bool {
	return slices.ContainsFunc([]string{"receive-branch", "receive-app", "pre-receive-app", "post-extract", "pre-deploy", "check-deploy", "core-post-deploy", "post-deploy"},
		func(trigger string) bool { return len(r.Host.Walk.Ships(trigger)) > 0 })
}

// mostUpdates is how many refs one push may move.
const mostUpdates = 1000

// readUpdates reads what git tells a hook, and refuses names that no plugin is to see.
func readUpdates(in io.Reader) ([]update, error) {
	var updates []update
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Split(lines.Text(), " ")
		if len(words) != 3 || !commitForm.MatchString(words[0]) || !commitForm.MatchString(words[1]) {
			return nil, api.Errorf(api.WrongProtocol, "read what was pushed", "%q is not OLD NEW REF", lines.Text())
		}
		one := update{words[0], words[1], words[2]}
		if name, ok := one.branch(); ok && !Branch.MatchString(name) {
			return nil, api.Errorf(api.Refused, "", "%q cannot be the name of a branch here", name).
				WithHint("letters, digits and . _ / + @ = # - are fine, at most 200 of them, not - or . first")
		}
		if updates = append(updates, one); len(updates) > mostUpdates {
			return nil, api.Errorf(api.Refused, "", "a push of more than %d refs", mostUpdates).WithHint("push the branch that is to be deployed alone")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what was pushed: %w", err)
	}
	return updates, nil
}

// chooseBranch writes down main as the deploy branch of an app to which it is the first
// that is pushed, where nobody has named one: half of the world's repositories have no master.
func (r *Receiver) chooseBranch(ctx context.Context, app string, updates []update) error {
	branch, said, err := DeployBranch(r.Host, app)
	if err != nil || said || resolve(ctx, r.Host.Places.App(app), "refs/heads/"+branch) != "" {
		return err
	}
	isMain := false
	for _, one := range updates {
		if one.ref == "refs/heads/"+branch {
			return nil
		}
		isMain = isMain || one.ref == "refs/heads/main" && !one.removes()
	}
	if !isMain {
		return nil
	}
	r.say("Set main to DOKKU_DEPLOY_BRANCH.")
	_, _, err = r.Host.Settings.Change(app, func(now *agent.Settings) error {
		now.Properties["git/deploy-branch"] = "main"
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the settings of %s: %w", app, err)
	}
	return nil
}

// deployLast puts the deploy branch behind the others: git refuses all refs of a push when a
// plugin refuses one of them, and nothing is to be deployed then.
func (r *Receiver) deployLast(app string, updates []update) error {
	deployed, _, err := DeployBranch(r.Host, app)
	if err != nil {
		return err
	}
	slices.SortStableFunc(updates, func(a, b update) int {
		switch "refs/heads/" + deployed {
		case a.ref:
			return 1
		case b.ref:
			return -1
		}
		return 0
	})
	return nil
}

// receive carries out what one ref of a push asks for.
func (r *Receiver) receive(ctx context.Context, app string, one update) error {
	deployed, _, err := DeployBranch(r.Host, app)
	if err != nil {
		return err
	}
	name, isBranch := one.branch()
	switch {
	case one.removes() && name == deployed && isBranch:
		return api.Errorf(api.Refused, "", "%s is the deploy branch of %s and cannot be deleted", deployed, app).
			WithHint("ps:stop %s stops the app, apps:destroy %s removes it", app, app)
	case one.removes() || strings.HasPrefix(one.ref, "refs/tags/"):
		return nil
	}
	for variable, value := range map[string]string{refVariable: one.ref, formerVariable: one.old} {
		_ = os.Setenv(variable, value) // fails never: it holds no NUL
		defer func() { _ = os.Unsetenv(variable) }()
	}
	if isBranch && name == deployed {
		return r.receiving(ctx, "receive-app", app, one.commit)
	}
	if isBranch && len(r.Host.Walk.Ships("receive-branch")) > 0 {
		return r.receiving(ctx, "receive-branch", app, one.commit, one.ref)
	}
	r.warn("Skipping deploy: %s is not the deploy branch of %s, which is %s.", strings.TrimPrefix(one.ref, "refs/heads/"), app, deployed)
	if isBranch {
		r.warn("To deploy it: git push REMOTE %s:%s, or dokku git:set %s deploy-branch %s and ps:rebuild %s", name, deployed, app, name, app)
	}
	return nil
}
