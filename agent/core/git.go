package core

import (
	"context"

	"github.com/dokku-push/dokku-push/agent/command"
)

// receiveApp is APP [REV]: what is in the app's repository is built and deployed.
func receiveApp(ctx context.Context, a *ask) error {
	return command.ReceiveApp(ctx, a.call(), a.arg(0), a.arg(1))
}
