// Package shim is Dokku's core as plugins find it on the disk: folders with the names of
// Dokku's core plugins, and in them the shell files that plugins source and the
// programs that they call beside those (PLUGIN-CONTRACT 5.1 to 5.5, 7.9). It holds no
// behaviour: what is more than text the shell asks the program that
// $DOKKU_SHIM_BIN names, the agent on a host, dokku-push where an image is built.
//
// The protocol. A function asks
//
//	"$DOKKU_SHIM_BIN" shim FUNCTION ARGUMENT...
//
// once; FUNCTION is a Name of the table Functions, which may be two words, and the
// arguments are those of the table. The answer is what stands on stdout, in the
// form that the table says, each line ended by a newline, and nothing else ever:
// plugins search it. What went wrong is said on stderr, each line behind " !     ",
// and by the exit code: 0 done, or yes; 1 failed, or no, with nothing on stderr where
// the table says that the exit code is the answer; further codes where the table
// names them; 127 for a FUNCTION that is not known. Stdin is empty except where the
// table says what it holds. The program inherits the folder, the user and the
// environment of the script that asks, DOKKU_APP_NAME and DOKKU_QUIET_OUTPUT among it,
// and must not take DOKKU_APP_NAME for an argument: functions name their app.
package shim

// Function is one question of the protocol.
type Function struct {
	Name   string // the words behind `shim`
	Args   string // as in a usage line: [x] may be missing, x... is any number
	Stdin  string // empty: nothing
	Stdout string // empty: nothing
	Exit   string // what else than 0 and 1 it can be, and what 1 means
}

// What many functions have in common.
const (
	yesOrNo   = "1: no"
	trueFalse = "true or false"
	anApp     = "APP"
	aProperty = "PLUGIN APP|--global KEY"
	shown     = "what the command of that name prints"
)

// Functions is the whole protocol: what the program must answer.
func Functions() []Function {
	all := append(appFunctions(), propertyFunctions()...)
	return append(all, nounFunctions()...)
}

// appFunctions are those of common/functions: apps, images, containers.
func appFunctions() []Function {
	return []Function{
		{Name: "verify_app_name", Args: anApp, Exit: "20: no such app, or the key may not see it, or APP is empty"},
		{Name: "is_valid_app_name", Args: "[--old] APP", Exit: "1: not a name; --old allows _"},
		{Name: "dokku_apps", Args: "[false]", Stdout: "apps, a line each; those the key may see unless false", Exit: "1: there are none"},
		{Name: "is_deployed", Args: anApp, Exit: yesOrNo},
		{Name: "get_app_scheduler", Args: anApp, Stdout: "docker-local"},
		{Name: "dokku_version", Stdout: "the version alone"},
		{Name: "release_and_deploy", Args: "APP [IMAGE_TAG] [SOURCE]", Stdout: "the deploy's output", Exit: "1: not deployed"},
		{Name: "docker_cleanup", Args: "[APP]", Stdout: "what was removed"},
		{Name: "get_available_port", Stdout: "a free TCP port above 1024"},

		{Name: "get_app_image_repo", Args: anApp, Stdout: "dokku/APP"},
		{Name: "get_running_image_tag", Args: "APP [IMAGE_TAG]", Stdout: "what deployed-app-image-tag says, else IMAGE_TAG, else latest"},
		{Name: "get_app_image_name", Args: "APP [IMAGE_TAG [IMAGE_REPO]]", Stdout: "REPO:TAG, by default dokku/APP:latest", Exit: "1: a TAG or REPO was given and there is no such image"},
		{Name: "get_deploying_app_image_name", Args: "APP [IMAGE_TAG [IMAGE_REPO]]", Stdout: "the image as deployed-app-image-tag, -repo and -repository say", Exit: "1: there is no such image"},
		{Name: "get_image_builder_type", Args: "IMAGE [APP]", Stdout: "dockerfile, herokuish, pack and the like"},
		{Name: "is_image_cnb_based", Args: "IMAGE", Exit: yesOrNo},
		{Name: "is_image_herokuish_based", Args: "IMAGE [APP]", Exit: yesOrNo},
		{Name: "verify_image", Args: "IMAGE", Exit: "1: there is no such image"},
		{Name: "copy_from_image", Args: "APP IMAGE SOURCE DESTINATION", Exit: "1: not in the image; a relative SOURCE is looked for in /workspace, /app or the image's WORKDIR; the copy ends in a newline"},
		{Name: "copy_dir_from_image", Args: "APP IMAGE SOURCE DESTINATION", Exit: "1: not in the image"},

		{Name: "get_app_container_ids", Args: "APP [PROC_TYPE]", Stdout: "container ids, a line each"},
		{Name: "get_app_running_container_ids", Args: "APP [PROC_TYPE]", Stdout: "ids of those that run, a line each"},
		{Name: "get_app_running_container_types", Args: anApp, Stdout: "process types that run, a line each"},
		{Name: "get_container_ports", Args: "CONTAINER", Stdout: "published ports, a line each: IP:PORT->PORT/PROTOCOL"},
		{Name: "is_container_status", Args: "CONTAINER FIELD", Exit: "1: .State.FIELD is not true, or there is no such container"},

		{Name: "plugn-trigger-exists", Args: "TRIGGER", Exit: "1: nobody but 20_events has it"},
		{Name: "registry-docker-config-dir", Args: anApp, Stdout: "the folder with the app's registry logins", Exit: "1: it has none"},
		{Name: "cron-write", Exit: "1: the crontab was not written"},
	}
}

// propertyFunctions are those of common/property-functions and common/prop.
func propertyFunctions() []Function {
	return []Function{
		{Name: "prop setup", Args: "PLUGIN", Exit: "1: the folder of its properties could not be made; it belongs to the user dokku, whoever asks"},
		{Name: "prop setup-app", Args: "PLUGIN APP|--global"},
		{Name: "prop get", Args: aProperty, Stdout: "the value", Exit: "1: not set"},
		{Name: "prop get-with-default", Args: aProperty + " [DEFAULT]", Stdout: "the value, else DEFAULT, else nothing at all"},
		{Name: "prop get-all", Args: "PLUGIN APP|--global", Stdout: "lines of KEY VALUE"},
		{Name: "prop get-all-by-prefix", Args: "PLUGIN APP|--global PREFIX", Stdout: "lines of KEY VALUE"},
		{Name: "prop exists", Args: aProperty, Exit: yesOrNo},
		{Name: "prop set", Args: aProperty, Stdin: "the value, to its last byte"},
		{Name: "prop del", Args: aProperty, Exit: "0 too when it was not set"},
		{Name: "prop destroy", Args: "PLUGIN APP|_all_"},
		{Name: "prop clone", Args: "PLUGIN OLD_APP NEW_APP"},
		{Name: "prop rpush", Args: aProperty + " VALUE [INDEX]"},
		{Name: "prop lrange", Args: aProperty, Stdout: "the values, a line each"},
		{Name: "prop lindex", Args: aProperty + " INDEX", Stdout: "the value", Exit: "1: there is none"},
		{Name: "prop lismember", Args: aProperty + " VALUE", Exit: "1: no, which stderr says too"},
		{Name: "prop llen", Args: aProperty, Stdout: "a number"},
		{Name: "prop lrem", Args: aProperty + " VALUE"},
		{Name: "prop lrem-by-prefix", Args: aProperty + " PREFIX"},
		{Name: "prop lset", Args: aProperty + " INDEX VALUE"},
		{Name: "prop lwrite", Args: aProperty, Stdin: "the values of the whole list, a line each"},
		{Name: "prop migrate-config-to-property", Args: "PLUGIN KEY CONFIG_KEY [GLOBAL_CONFIG_KEY]"},
	}
}

// nounFunctions are those of the other files, a noun each.
func nounFunctions() []Function {
	return []Function{
		{Name: "config get", Args: "[--quoted] APP|--global KEY", Stdout: "the value", Exit: "1: not set"},
		{Name: "config set", Stdin: "[--no-restart] [--encoded] APP|--global KEY=VALUE..., each with a NUL behind it", Stdout: shown,
			Exit: "0 too when post-config-update or the restart failed, of which it warns; 1: not written"},
		{Name: "config unset", Args: "[--no-restart] APP|--global KEY...", Stdout: "Unsetting KEY", Exit: "as config set"},
		{Name: "config clear", Args: "[--no-restart] APP|--global", Stdout: shown, Exit: "as config set"},
		{Name: "config keys", Args: "[--merged] APP|--global", Stdout: "keys, a line each"},
		{Name: "config bundle", Args: "[--merged] APP|--global", Stdout: "a tar"},
		{Name: "config show", Args: "[--merged] APP|--global", Stdout: "=====> APP env vars, then KEY:  VALUE, a line each"},
		{Name: "config export", Args: "APP|--global [--merged] [--format FORMAT], flags anywhere", Stdout: "by default lines of export KEY='VALUE'"},

		{Name: "get_ssl_hostnames", Args: anApp, Stdout: "names of the certificate, sorted, a line each"},
		{Name: "get_app_domains", Args: anApp, Stdout: "domains, a line each; none while they are turned off"},
		{Name: "get_default_vhosts", Args: anApp, Stdout: "domains, a line each"},
		{Name: "get_global_vhosts", Stdout: "domains, a line each"},
		{Name: "is_app_vhost_enabled", Args: anApp, Stdout: trueFalse},
		{Name: "is_valid_hostname", Args: "HOSTNAME", Exit: yesOrNo},
		{Name: "domains add", Args: "APP DOMAIN...", Stdout: shown},
		{Name: "domains clear", Args: anApp, Stdout: shown},
		{Name: "domains disable", Args: anApp, Stdout: shown},
		{Name: "domains enable", Args: anApp, Stdout: shown},
		{Name: "domains remove", Args: "APP DOMAIN...", Stdout: shown},
		{Name: "domains reset", Args: anApp, Stdout: shown},
		{Name: "domains set", Args: "APP DOMAIN...", Stdout: shown},

		{Name: "restart_nginx", Args: anApp, Stdout: "what the reload says", Exit: "0 too when nginx is not the app's proxy; 1: not loaded; APP may be empty: nginx is loaded"},
		{Name: "validate_nginx", Args: "[APP] [--clean]", Exit: "1: broken, which stderr says; --clean removes an app's broken file"},
		{Name: "nginx-property", Args: "[--app APP] [--computed|--global] KEY", Stdout: "the value, which may be empty"},

		{Name: "is_app_proxy_enabled", Args: anApp, Stdout: trueFalse},
		{Name: "get_app_proxy_type", Args: anApp, Stdout: "nginx"},
		{Name: "ps_start", Args: anApp, Stdout: shown},
		{Name: "ps_stop", Args: anApp, Stdout: shown},
		{Name: "ps_restart", Args: anApp, Stdout: shown},
		{Name: "ps_rebuild", Args: anApp, Stdout: shown},
		{Name: "is_app_proctype_checks_disabled", Args: "APP PROC_TYPE", Stdout: trueFalse},
		{Name: "is_app_proctype_checks_skipped", Args: "APP PROC_TYPE", Stdout: trueFalse},
		{Name: "docker-options add", Args: "APP PHASE[,PHASE]... OPTION", Exit: "1: no such app"},
		{Name: "docker-options remove", Args: "APP PHASE[,PHASE]... OPTION", Exit: "1: no such app"},
	}
}
