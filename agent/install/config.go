package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// ReadConfig reads the host's configuration where only root can write it.
func ReadConfig() (agent.HostConfig, error) {
	var config agent.HostConfig
	text, err := os.ReadFile(ConfigFile)
	if err != nil {
		return config, api.Errorf(api.Configuration, "read the host's configuration", "%w", err).WithHint("run `dokku-agent install` as root once")
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return config, api.Errorf(api.Configuration, "read the host's configuration", "%s: %w", ConfigFile, err)
	}
	return config, nil
}

// config decides how traffic is switched and writes what the helper believes. It is
// decided once: later only another --traffic changes it, and only that part of it.
func (i *installer) config() error {
	config, err := ReadConfig()
	first := errors.Is(err, fs.ErrNotExist)
	switch {
	case first:
		config = i.fresh()
	case err != nil:
		return err
	case i.Traffic == "auto" || i.Traffic == config.Traffic:
		return nil
	}
	if err := i.chooseTraffic(&config); err != nil {
		return err
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("write the host's configuration: %w", err)
	}
	wrote, err := i.rooted(ConfigFile, append(text, '\n'), 0o644)
	if err != nil {
		return err
	}
	i.restart = i.restart || wrote
	i.Say("traffic is switched by %s", config.Traffic)
	if !first {
		i.Say("rebuild every app now (dokku ps:rebuild APP): their nginx sites still name the former addresses")
	}
	return nil
}

// fresh is a host's configuration before anybody changed it.
func (i *installer) fresh() agent.HostConfig {
	return agent.HostConfig{ID: i.places.Lib,
		Nginx:  agent.NginxConfig{Program: "/usr/sbin/nginx", Conf: "/etc/nginx/nginx.conf", Pid: "/run/nginx.pid", Port: 80, TLSPort: 443, LogDir: "/var/log/nginx"},
		Helper: []string{"sudo", "-n", Program, "root"}}
}

// chooseTraffic takes the address map where it can be had, and says what it costs
// where it cannot.
func (i *installer) chooseTraffic(config *agent.HostConfig) error {
	config.Traffic = "reload"
	if i.Traffic == "reload" {
		return nil
	}
	chosen := config.Map
	err := nft.Validate(chosen) // the former addresses stay: sites and ledger name them
	if err != nil {
		chosen, err = nft.Choose(i.places.Lib)
	}
	if err == nil {
		err = (&nft.Map{Places: i.places, Config: chosen}).Available(i.ctx)
	}
	switch {
	case err == nil:
		config.Traffic, config.Map = "map", chosen
	case i.Traffic == "map":
		return err
	default:
		i.Say("traffic will be switched by reloading nginx, which cuts idle keep-alive connections: %v", err)
	}
	return nil
}

// nginx makes the system's nginx include the apps' sites. An include that nginx does
// not take is put back: it would keep nginx from starting at the next boot.
func (i *installer) nginx() error {
	config, err := ReadConfig()
	if err != nil {
		return err
	}
	proxy := &nginx.Nginx{Places: i.places, Config: config.Nginx}
	path, text := proxy.InstallInclude()
	former, missing := os.ReadFile(path)
	wrote, err := i.ours(path, text, 0o644)
	if err != nil || !wrote {
		return err
	}
	i.reload = true
	err = tested(i, proxy)
	if err == nil {
		return nil
	}
	if missing != nil {
		return errors.Join(err, atomicfile.Remove(path))
	}
	return errors.Join(err, atomicfile.WriteFile(path, former, 0o644))
}

// tested asks nginx whether it takes its configuration as it is now.
func tested(i *installer, proxy *nginx.Nginx) error {
	text, err := proxy.Perform(i.ctx, nginx.VerbTest)
	if err != nil {
		return api.Errorf(api.ProxyFailed, opInstall, "%w", err).WithHint("%s has to include conf.d/*.conf in its http block, as Debian's does", proxy.Config.Conf)
	}
	var found struct {
		Passed bool   `json:"passed"`
		Output string `json:"output"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("read nginx's answer: %w", err)
	}
	if !found.Passed {
		return api.Errorf(api.ProxyFailed, opInstall, "nginx does not take its configuration: %s", found.Output).WithHint("nginx -t shows it, too; repair it and install again")
	}
	return nil
}

// domain sets the global domain that apps get theirs under.
func (i *installer) domain() error {
	if i.Domain == "" {
		return nil
	}
	return SetDomains(i.places, []string{i.Domain}, func() { i.did("apps answer at APP.%s", i.Domain) })
}

// SetDomains writes the global domains; changed is called when they were others.
func SetDomains(places agent.Places, domains []string, changed func()) error {
	before, _, err := (&state.Store{Places: places}).Change("--global", func(now *agent.Settings) error {
		now.Domains = domains
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the global domains: %w", err)
	}
	if !slices.Equal(before.Domains, domains) {
		changed()
	}
	return nil
}
