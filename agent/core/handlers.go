package core

import (
	"context"
	"io"
	"maps"
	"strings"

	"github.com/dokku-push/dokku-push/triggers"
)

// Handlers are the core's parts in triggers, for the walk: by plugin, then by trigger.
// They answer questions and carry out requests; what a deploy or a command does when
// it fires a trigger itself is not among them.
func (c Core) Handlers() map[string]map[string]triggers.Handler { return c.handlers(queries()) }

// AskedByPlugins are Handlers, and beside them what a plugin expects of the core when it
// fires a trigger of the agent's own: `plugn trigger post-domains-update APP` makes the
// app's site anew.
func (c Core) AskedByPlugins() map[string]map[string]triggers.Handler {
	all := queries()
	for plugin, more := range requests() {
		if all[plugin] == nil {
			all[plugin] = map[string]act{}
		}
		maps.Copy(all[plugin], more)
	}
	return c.handlers(all)
}

func (c Core) handlers(table map[string]map[string]act) map[string]map[string]triggers.Handler {
	all := map[string]map[string]triggers.Handler{}
	for plugin, acts := range table {
		all[plugin] = map[string]triggers.Handler{}
		for trigger, do := range acts {
			all[plugin][trigger] = c.handler(do)
		}
	}
	return all
}

func (c Core) handler(do act) triggers.Handler {
	return func(ctx context.Context, call triggers.Call) error {
		a := &ask{Core: c, args: call.Args, env: call.Env, in: call.In, out: call.Out, err: call.Err}
		if a.in == nil {
			a.in = strings.NewReader("")
		}
		if a.out == nil {
			a.out = io.Discard
		}
		if a.err == nil {
			a.err = io.Discard
		}
		if code := a.run(ctx, do); code != 0 {
			return &triggers.Exit{Code: code}
		}
		return nil
	}
}

// queries are the triggers that anybody may ask the core (PLUGIN-CONTRACT 4.5, 4.6).
func queries() map[string]map[string]act {
	return map[string]map[string]act{
		"apps": {
			"app-list": appsByTrigger, "app-exists": appExists, "app-create": byCommand("apps:create"), "app-destroy": destroyApp,
			"app-maybe-create": maybeCreate, "app-restart": byCommand("ps:restart"), "deploy-source-set": sourceSet,
			"release-and-deploy": releaseAndDeploy, "deploy": releaseAndDeploy,
		},
		"builder": {"builder-detect": detectBuilder, "builder-get-property": property("builder"), "builder-set-property": setProperty("builder")},
		"certs": {
			"certs-exists": certExists, "certs-get": certGet, "certs-set": byCommand("certs:add"),
			"certs-remove": byCommand("certs:remove"), "certs-force": forceCertificate,
		},
		"checks": {"checks-get-property": property("checks")},
		"config": {
			"config-get": configValue, "config-get-global": globalValue, "config-set": byCommand("config:set"), "config-export": exportByTrigger,
		},
		"cron": {"cron-write": cronWrite, "cron-get-property": property("cron")},
		"domains": {
			"domains-list": domains, "domains-urls": urls, "domains-vhost-enabled": vhostAnswer, "domains-add": byCommand("domains:add"),
			"domains-enable": byCommand("domains:enable"), "domains-disable": byCommand("domains:disable"),
		},
		"git":  {"receive-app": receiveApp, "git-get-property": property("git"), "git-from-image": fromImage, "git-from-directory": fromDirectory},
		"logs": {"logs-get-property": property("logs")},
		"network": {
			"network-get-listeners": listeners, "network-get-static-listeners": staticListeners, "network-get-property": property("network"),
			"network-get-ipaddr": address, "network-write-ipaddr": write("IP"), "network-write-port": write("PORT"),
		},
		"nginx-vhosts": {"proxy-build-config": buildProxy, "proxy-clear-config": clearProxy},
		"ports": {
			"ports-get": ports, "ports-get-property": portProperty, "ports-get-available": availablePort,
			"ports-set-detected": detectedPorts, "ports-clear": clearPorts,
		},
		"proxy": {
			"proxy-type": proxyType, "proxy-is-enabled": proxyEnabled,
			"proxy-enable": byCommand("proxy:enable"), "proxy-disable": byCommand("proxy:disable"),
		},
		"ps": {
			"ps-current-scale": currentScale, "ps-can-scale": canScale, "ps-set-scale": setScale, "ps-get-property": property("ps"),
			"procfile-exists": procfileExists, "procfile-get-command": procfileCommand,
		},
		"resource":               {"resource-get-property": resource},
		"scheduler":              {"scheduler-detect": scheduler},
		"scheduler-docker-local": {"scheduler-is-deployed": schedulerDeployed, "scheduler-app-status": appStatus},
	}
}

// requests are triggers of deploys and commands in which the agent does the core's part
// itself; the core does it here when a plugin fires them.
func requests() map[string]map[string]act {
	return map[string]map[string]act{
		"docker-options": {"docker-args-build": options("build"), "docker-args-deploy": options("deploy"), "docker-args-run": options("run")},
		"nginx-vhosts": {
			"post-domains-update": buildProxy, "post-proxy-ports-update": buildProxy, "core-post-deploy": buildProxy,
		},
		"ports": {"post-certs-update": certificateChanged, "post-certs-remove": certificateChanged},
	}
}

// unanswered are triggers of the core that nobody answers, and why: their walk is empty,
// and succeeds.
func unanswered() map[string]string {
	const template = "a plugin may answer it, to replace a template"
	const retired = "the agent stops former containers itself, once their connections are closed"
	return map[string]string{
		"nginx-app-template-source": template, "nginx-dokku-template-source": template, "caddy-template-source": template,
		"haproxy-template-source": template, "openresty-template-source": template, "traefik-template-source": template, "vector-template-source": template,
		"scheduler-register-retired": retired, "scheduler-post-deploy-process": retired,
		"ports-configure":       "an app without domains has no site, and needs no port",
		"network-config-exists": "every app's network is set up: no answer is yes",
		"network-build-config":  "there is nothing to write: an app's addresses are in the agent's ledger",
	}
}
