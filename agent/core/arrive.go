package core

import (
	"context"

	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
)

// fromImage is APP IMAGE [BUILD_DIR] [USER] [EMAIL].
func fromImage(ctx context.Context, a *ask) error {
	args := []string{a.arg(0), a.arg(1)}
	if a.arg(2) != "" {
		args = append([]string{"--build-dir", a.arg(2)}, args...)
	}
	for _, word := range []string{a.arg(3), a.arg(4)} {
		if word != "" {
			args = append(args, word)
		}
	}
	return a.do(ctx, "git:from-image", args...)
}

// fromDirectory is APP DIRECTORY [USER] [EMAIL].
func fromDirectory(ctx context.Context, a *ask) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	if a.arg(1) == "" {
		return api.Errorf(api.Usage, "", "Please specify a directory")
	}
	return command.FromDirectory(ctx, a.call(), a.arg(0), a.arg(1), receive.Author{Name: a.arg(2), Address: a.arg(3)})
}
