package install

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"

	"github.com/dokku-push/dokku-push/api"
)

// account makes the dokku user, a member of the engine's group as Dokku's is. Its
// password is one that no password is: "*" is not a locked account, which sshd
// would refuse.
func (i *installer) account() error {
	if _, err := user.LookupGroup(User); err != nil {
		if err := i.command("groupadd", "--system", User); err != nil {
			return err
		}
		i.did("made the group %s", User)
	}
	if _, err := user.Lookup(User); err != nil {
		if err := i.command("useradd", "--system", "--gid", User, "--home-dir", i.places.Root, "--shell", "/bin/bash", "--no-create-home", "--password", "*", User); err != nil {
			return err
		}
		i.did("made the user %s", User)
	}
	account, err := user.Lookup(User)
	if err != nil {
		return fmt.Errorf("look up the user %s: %w", User, err)
	}
	if account.HomeDir != i.places.Root {
		return api.Errorf(api.Configuration, opInstall, "the user %s has the home %s", User, account.HomeDir).WithHint("a host needs %s", i.places.Root)
	}
	if i.uid, err = strconv.Atoi(account.Uid); err != nil {
		return fmt.Errorf("look up the user %s: %w", User, err)
	}
	if i.gid, err = strconv.Atoi(account.Gid); err != nil {
		return fmt.Errorf("look up the user %s: %w", User, err)
	}
	return i.joinDocker(account)
}

func (i *installer) joinDocker(account *user.User) error {
	docker, err := user.LookupGroup("docker")
	if err != nil {
		return api.Errorf(api.Precondition, opInstall, "there is no group docker").WithHint("apt-get install docker.io")
	}
	groups, err := account.GroupIds()
	if err != nil {
		return fmt.Errorf("list the groups of %s: %w", User, err)
	}
	if slices.Contains(groups, docker.Gid) {
		return nil
	}
	if err := i.command("usermod", "--append", "--groups", "docker", User); err != nil {
		return err
	}
	i.did("%s may use the engine", User)
	return nil
}
