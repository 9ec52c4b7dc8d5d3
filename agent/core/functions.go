package core

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
)

// unknownFunction is the exit code for a function that is none (triggers/shim).
const unknownFunction = 127

// Streams are what a question is asked with. None of them is nil.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Function answers `shim NAME ARGUMENT...` and returns the exit code. env is the asking
// script's environment.
func (c Core) Function(ctx context.Context, args, env []string, streams Streams) int {
	a := &ask{Core: c, env: env, in: streams.In, out: streams.Out, err: streams.Err}
	table := functions()
	for _, words := range []int{2, 1} {
		if len(args) < words {
			continue
		}
		if do := table[strings.Join(args[:words], " ")]; do != nil {
			a.args = args[words:]
			return a.run(ctx, do)
		}
	}
	fmt.Fprintf(streams.Err, " !     %q is no function of the core\n", strings.Join(args, " "))
	return unknownFunction
}

// functions is the answer to each function of the protocol, by its name there.
func functions() map[string]act {
	return map[string]act{
		"verify_app_name":    verifyAppName,
		"is_valid_app_name":  isValidAppName,
		"dokku_apps":         apps,
		"is_deployed":        isDeployed,
		"get_app_scheduler":  scheduler,
		"dokku_version":      version,
		"release_and_deploy": releaseAndDeploy,
		"docker_cleanup":     cleanup,
		"get_available_port": availablePort,

		"get_app_image_repo":           imageRepo,
		"get_running_image_tag":        runningTag,
		"get_app_image_name":           imageName,
		"get_deploying_app_image_name": deployingImage,
		"get_image_builder_type":       builderType,
		"is_image_cnb_based":           isCNB,
		"is_image_herokuish_based":     isHerokuish,
		"verify_image":                 verifyImage,
		"copy_from_image":              copyFile,
		"copy_dir_from_image":          copyOut,

		"get_app_container_ids":           containerIDs,
		"get_app_running_container_ids":   runningIDs,
		"get_app_running_container_types": runningTypes,
		"get_container_ports":             containerPorts,
		"is_container_status":             containerStatus,

		"plugn-trigger-exists":       triggerExists,
		"registry-docker-config-dir": registryFolder,
		"cron-write":                 cronWrite,

		"prop setup": propSetup, "prop setup-app": propSetupApp,
		"prop get": propGet, "prop get-with-default": propGetDefault, "prop get-all": propGetAll, "prop get-all-by-prefix": propGetAll,
		"prop exists": propExists, "prop set": propSet, "prop del": propDel, "prop destroy": propDestroy, "prop clone": propClone,
		"prop rpush": propPush, "prop lrange": propRange, "prop lindex": propIndex, "prop lismember": propIsMember, "prop llen": propLength,
		"prop lrem": propRemove, "prop lrem-by-prefix": propRemovePrefix, "prop lset": propSetAt, "prop lwrite": propWrite,
		"prop migrate-config-to-property": propMigrate,

		"config get": byCommand("config:get"), "config set": configSet, "config unset": configUnset, "config clear": configClear,
		"config keys": byCommand("config:keys"), "config bundle": byCommand("config:bundle"), "config show": byCommand("config:show"), "config export": byCommand("config:export"),

		"get_ssl_hostnames":    sslHostnames,
		"get_app_domains":      domains,
		"get_default_vhosts":   defaultVhosts,
		"get_global_vhosts":    globalVhosts,
		"is_app_vhost_enabled": vhostEnabled,
		"is_valid_hostname":    isHostname,
		"domains add":          byCommand("domains:add"),
		"domains clear":        byCommand("domains:clear"),
		"domains disable":      byCommand("domains:disable"),
		"domains enable":       byCommand("domains:enable"),
		"domains remove":       byCommand("domains:remove"),
		"domains reset":        byCommand("domains:reset"),
		"domains set":          byCommand("domains:set"),

		"restart_nginx":  restartNginx,
		"validate_nginx": validateNginx,
		"nginx-property": nginxProperty,

		"is_app_proxy_enabled": proxyEnabled,
		"get_app_proxy_type":   proxyType,
		"ps_start":             byCommand("ps:start"),
		"ps_stop":              byCommand("ps:stop"),
		"ps_restart":           byCommand("ps:restart"),
		"ps_rebuild":           byCommand("ps:rebuild"),

		"is_app_proctype_checks_disabled": checksOff("disabled"),
		"is_app_proctype_checks_skipped":  checksOff("skipped"),
		"docker-options add":              option((*agent.Host).AddOption),
		"docker-options remove":           option((*agent.Host).RemoveOption),
	}
}

// byCommand answers with one of Dokku's commands and the same arguments.
func byCommand(name string) act {
	return func(ctx context.Context, a *ask) error { return a.do(ctx, name, a.args...) }
}
