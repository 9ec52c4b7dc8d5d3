package shim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// question is a call of the program in a shell file.
var question = regexp.MustCompile(`_dokku_shim(?:_in)? ([a-z_][\w-]*(?: [a-z][\w-]*)?)`)

// passedOn are questions whose second word is whatever the caller says.
var passedOn = map[string]bool{"prop": true, "config": true}

// TestText are the functions that ask nobody.
func TestText(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		script string
		want   result
		env    []string
		stdin  string
	}{
		{script: `dokku_log_info1 "a  b" c`, want: result{Out: "-----> a  b c\n"}},
		{script: `dokku_log_info2 a`, want: result{Out: "=====> a\n"}},
		{script: `dokku_log_verbose a`, want: result{Out: "       a\n"}},
		{script: `dokku_log_exclaim a`, want: result{Out: " !     a\n"}},
		{script: `dokku_log_warn '%s -n' ; echo on`, want: result{Err: " !     %s -n\n", Out: "on\n"}},
		{script: `dokku_log_stderr a`, want: result{Err: "a\n"}},
		{script: `dokku_log_info1_quiet a; dokku_log_info2_quiet a; dokku_log_verbose_quiet a; dokku_log_exclaim_quiet a; dokku_log_warn_quiet a`,
			want: result{Out: "-----> a\n=====> a\n       a\n !     a\n", Err: " !     a\n"}},
		{script: `dokku_log_info1_quiet a; dokku_log_info2_quiet a; dokku_log_verbose_quiet a; dokku_log_exclaim_quiet a; dokku_log_warn_quiet a
dokku_col_log_info1_quiet a; dokku_col_log_info2_quiet a; dokku_col_log_msg_quiet a; dokku_container_log_verbose_quiet a; echo on`,
			env: []string{"DOKKU_QUIET_OUTPUT=1"}, want: result{Out: "on\n"}},
		{script: `dokku_log_fail a || true; echo on`, want: result{Err: " !     a\n", Code: 1}},
		{script: `log-fail "Missing nginx, install it"; echo on`, want: result{Err: " !     Missing nginx, install it\n", Code: 1}},
		{script: `dokku_log_fail a`, env: []string{"DOKKU_FAIL_EXIT_CODE=42"}, want: result{Err: " !     a\n", Code: 42}},
		{script: `dokku_log_exit a; echo on`, want: result{Err: "a\n"}},
		{script: `dokku_log_exit_quiet a; echo on`, env: []string{"DOKKU_QUIET_OUTPUT=1"}, want: result{}},
		{script: `dokku_col_log_info1 a b c d; dokku_col_log_info1_quiet a`,
			want: result{Out: "-----> a                  b                         c                         d                        \n" +
				"-----> a" + strings.Repeat(" ", 17) + strings.Repeat(" "+strings.Repeat(" ", 25), 3) + "\n"}},
		{script: `dokku_col_log_info2 a b; dokku_col_log_info2_quiet a b`,
			want: result{Out: strings.Repeat("=====> a                  b                                                                            \n", 2)}},
		{script: `dokku_col_log_msg a b c d; dokku_col_log_msg_quiet a b c d`,
			want: result{Out: strings.Repeat("a                         b                         c                         d                        \n", 2)}},
		{script: `docker() { printf '%s\n' "$*"; echo second >&2; }; DOCKER_BIN=docker; dokku_container_log_verbose_quiet id`,
			want: result{Out: "       container logs id\n       second\n"}},
		{script: `logger() { printf '[%s]' "$@"; }; dokku_log_event a b; dokku_log_plugn_trigger_call act app`, env: []string{"NAME=me", "FINGERPRINT=SHA256:x"},
			want: result{Out: "[-t][dokku-event][-i][--][a][b][-t][dokku-event][-i][--][INVOKED: act( app ) NAME=me FINGERPRINT=SHA256:x]"}},
		{script: `has_tty || echo none; DOKKU_FORCE_TTY=true; has_tty && echo forced; DOKKU_DISABLE_TTY=true; has_tty || echo off`,
			want: result{Out: "none\nforced\noff\n"}},
		{script: `suppress_output sh -c 'echo quiet; echo quiet >&2'; suppress_output sh -c 'echo out; echo err >&2; exit 4' || echo "$?"`,
			want: result{Out: "out\nerr\n4\n"}},
		{script: `suppress_output sh -c 'exit 5'; echo on`, want: result{Code: 5}},
		{script: `fn-in-array b a "b" c && echo yes; fn-in-array "" a || echo no; fn-in-array x || echo no`, want: result{Out: "yes\nno\nno\n"}},
		{script: `is_val_in_list b a,b && echo yes; is_val_in_list b "a b" " " && echo yes; is_val_in_list b "" || echo no`, want: result{Out: "yes\nyes\nno\n"}},
		{script: `add_val_to_list c a,b; add_val_to_list a ""; add_val_to_list b a,b; add_val_to_list c a:b :`, want: result{Out: "a,b,c\na\na,b\na:b:c\n"}},
		{script: `remove_val_from_list b a,b,c; remove_val_from_list a a; remove_val_from_list b "a b" " "`, want: result{Out: "a,c\n\na\n"}},
		{script: `merge_dedupe_list "b a b  c"; merge_dedupe_list "b,a,b" ,`, want: result{Out: "a b c\na b\n"}},
		{script: `is_number 12 && echo yes; is_number 1x || echo no; is_number "" || echo no; is_abs_path /a && echo yes; is_abs_path a || echo no`,
			want: result{Out: "yes\nno\nno\nyes\nno\n"}},
		{script: `re="^$(get_ipv4_regex)$"; for a in 1.2.3.4 255.255.255.255 256.1.1.1 1.2.3; do [[ $a =~ $re ]] && echo "$a"; done; true`,
			want: result{Out: "1.2.3.4\n255.255.255.255\n"}},
		{script: `re="^$(get_ipv6_regex)$"; for a in ::1 :: fe80::1:2 2001:db8::ff00:42:8329 1:2:3:4:5:6:7:8 1:2 1::2::3 1.2.3.4; do [[ $a =~ $re ]] && echo "$a"; done; true`,
			want: result{Out: "::1\n::\nfe80::1:2\n2001:db8::ff00:42:8329\n1:2:3:4:5:6:7:8\n"}},
		{script: `strip_inline_comments "a b # c"; strip_inline_comments "a#b"; strip_inline_comments "x #1 #2"`, want: result{Out: "a b\na#b\nx #1\n"}},
		{script: `get_json_value .a.b; get_json_value .c <<<'{}'`, stdin: `{"a":{"b":"x y"}}`, want: result{Out: "x y\n"}},
		{script: `extract_directive_from_dockerfile /dev/stdin EXPOSE; extract_directive_from_dockerfile /dev/null EXPOSE`,
			stdin: "FROM a\nEXPOSE 1\n# EXPOSE 3\nEXPOSE 2 4\n", want: result{Out: "EXPOSE 2 4\n"}},
		{script: `fn-docker-args-split "--link a:b -e 'X=1 2' \$(no)" | tr '\0' '\n'; fn-docker-args-split ""`, want: result{Out: "--link\na:b\n-e\nX=1 2\n$(no)\n"}},
		{script: `parse_args --quiet cmd --app my --force; echo "$DOKKU_QUIET_OUTPUT $DOKKU_APP_NAME $DOKKU_APPS_FORCE_DELETE ${DOKKU_TRACE:-} $DOKKU_GLOBAL_FLAGS"; parse_args --other; echo "$DOKKU_GLOBAL_FLAGS"; parse_args; env | grep -c ^DOKKU_APP_NAME=my`,
			want: result{Out: "1 my 1  --quiet --app=my --force\n--quiet --app=my --force\n1\n"}},
		{script: `parse_args --app; echo "[$DOKKU_APP_NAME]"`, want: result{Out: "[]\n"}},
	} {
		t.Run(test.script, func(t *testing.T) {
			got := w.run(t, "source \"$PLUGIN_CORE_AVAILABLE_PATH/common/functions\"\n"+test.script, test.stdin, test.env...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFilesOnly are those that look at files and nothing else.
func TestFilesOnly(t *testing.T) {
	w := newWorld(t)
	tls := filepath.Join(w.root, "app", "tls")
	must(t, os.MkdirAll(tls, 0o755))
	const ssl = "source \"$PLUGIN_AVAILABLE_PATH/certs/functions\"\nif is_ssl_enabled app; then echo yes; else echo no; fi"
	must(t, os.WriteFile(filepath.Join(tls, "server.crt"), nil, 0o644))
	if got := w.run(t, ssl, ""); got.Out != "no\n" {
		t.Errorf("a certificate without its key: %+v", got)
	}
	must(t, os.WriteFile(filepath.Join(tls, "server.key"), nil, 0o600))
	if got := w.run(t, ssl, ""); got.Out != "yes\n" {
		t.Errorf("a certificate and its key: %+v", got)
	}
	program := filepath.Join(w.bin, "nginx")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	got := w.run(t, "source \"$PLUGIN_AVAILABLE_PATH/nginx-vhosts/functions\"\nget_nginx_location", "")
	if diff := cmp.Diff(result{Out: program + "\n"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestDeployLock: one script at a time, for as long as the script that has it lives.
func TestDeployLock(t *testing.T) {
	w := newWorld(t)
	const source = "source \"$PLUGIN_CORE_AVAILABLE_PATH/common/functions\"\n"
	got := w.run(t, source+`acquire_app_deploy_lock app
bash -c 'source "$PLUGIN_CORE_AVAILABLE_PATH/common/functions"; acquire_app_deploy_lock app' || echo "second: $?"
release_app_deploy_lock; release_app_deploy_lock
bash -c 'source "$PLUGIN_CORE_AVAILABLE_PATH/common/functions"; acquire_app_deploy_lock app waiting && echo third'`, "")
	want := result{Out: "second: 1\nthird\n", Err: " !     app currently has a deploy lock in place. Exiting...\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "data", "apps", "app", ".deploy.lock")); err != nil {
		t.Error(err)
	}
}

// sourced are the files that plugins source (PLUGIN-CONTRACT 5.1).
var sourced = []string{"common/functions", "common/property-functions", "config/functions", "ps/functions", "docker-options/functions",
	"nginx-vhosts/functions", "nginx-vhosts/internal-functions", "certs/functions", "domains/functions", "proxy/functions",
	"storage/functions", "checks/functions"}

// TestSourced: every file can be sourced through every tree, twice, traced, without any of
// the variables, and leaves -e and pipefail on.
func TestSourced(t *testing.T) {
	w := newWorld(t)
	for _, file := range sourced {
		for _, tree := range []string{"PLUGIN_CORE_AVAILABLE_PATH", "PLUGIN_CORE_ENABLED_PATH", "PLUGIN_AVAILABLE_PATH", "PLUGIN_ENABLED_PATH"} {
			script := fmt.Sprintf("set +eo pipefail\nsource \"$%s/%s\"\nsource \"$%s/%s\"\necho \"$SHELLOPTS\"", tree, file, tree, file)
			got := w.run(t, script, "")
			if got.Code != 0 || got.Err != "" || got.Asked != "" || !strings.Contains(got.Out, "errexit") || !strings.Contains(got.Out, "pipefail") {
				t.Errorf("%s through %s: %+v", file, tree, got)
			}
		}
		core := filepath.Join(w.dir, "core-plugins", "available")
		got := w.run(t, "unset PLUGIN_CORE_AVAILABLE_PATH\nset -u\nsource "+core+"/"+file+"\n_dokku_shim x y", "")
		if got.Code != 0 || got.Asked != "<shim><x><y>\n" {
			t.Errorf("%s without variables: %+v", file, got)
		}
		if got := w.run(t, "source "+core+"/"+file+"\necho on", "", "DOKKU_TRACE=1"); got.Code != 0 || !strings.Contains(got.Err, "+ echo on") {
			t.Errorf("%s traced: %+v", file, got)
		}
	}
	other := filepath.Join(w.bin, "other")
	must(t, os.WriteFile(other, []byte("#!/bin/sh\necho other \"$@\"\n"), 0o755))
	got := w.run(t, "source \"$PLUGIN_CORE_AVAILABLE_PATH/common/functions\"\nis_deployed app", "", "DOKKU_SHIM_BIN="+other)
	if diff := cmp.Diff(result{Out: "other shim is_deployed app\n"}, got); diff != "" {
		t.Errorf("DOKKU_SHIM_BIN: %s", diff)
	}
}

// promised are the functions of PLUGIN-CONTRACT 5.2 to 5.5 by name.
const promised = `dokku_log_info1 verify_app_name dokku_log_fail log-fail dokku_log_verbose dokku_log_info2_quiet dokku_log_verbose_quiet
dokku_log_info2 dokku_log_info1_quiet dokku_log_exclaim dokku_log_warn fn-in-array dokku_apps dokku_container_log_verbose_quiet has_tty
suppress_output get_app_image_name get_deploying_app_image_name is_container_status dokku_col_log_info1_quiet dokku_col_log_msg
get_running_image_tag get_app_image_repo is_deployed strip_inline_comments copy_from_image copy_dir_from_image get_app_container_ids
get_app_running_container_ids get_app_running_container_types get_app_scheduler get_image_builder_type is_image_herokuish_based
is_image_cnb_based is_valid_app_name is_number is_abs_path get_json_value is_val_in_list add_val_to_list remove_val_from_list
merge_dedupe_list get_ipv4_regex get_ipv6_regex extract_directive_from_dockerfile get_container_ports parse_args docker_cleanup
release_and_deploy dokku_version dokku_log_event dokku_log_stderr dokku_log_exit dokku_log_exit_quiet dokku_log_plugn_trigger_call
acquire_app_deploy_lock release_app_deploy_lock fn-migrate-config-to-property fn-plugn-trigger-exists fn-docker-args-split
fn-registry-docker-config-dir verify_image get_available_port
fn-plugin-property-setup fn-plugin-property-delete fn-plugin-property-write fn-plugin-property-destroy fn-plugin-property-get
fn-plugin-property-get-default fn-plugin-property-clone fn-plugin-property-exists fn-plugin-property-get-all
fn-plugin-property-list-add fn-plugin-property-list-get fn-plugin-property-list-get-by-value fn-plugin-property-list-remove
fn-plugin-property-get-all-by-prefix fn-plugin-property-list-get-by-index fn-plugin-property-list-length
fn-plugin-property-list-set fn-plugin-property-list-remove-by-prefix fn-plugin-property-setup-app
config_get config_set config_unset config_all config_export config_keys config_clear config_bundle config_sub
restart_nginx validate_nginx get_nginx_location fn-nginx-access-log-path fn-nginx-access-log-format fn-nginx-error-log-path
fn-nginx-computed-access-log-path fn-nginx-computed-access-log-format fn-nginx-computed-error-log-path
fn-nginx-global-access-log-path fn-nginx-global-access-log-format fn-nginx-global-error-log-path
is_ssl_enabled get_ssl_hostnames get_app_domains is_app_vhost_enabled get_default_vhosts get_global_vhosts is_valid_hostname
is_app_proctype_checks_disabled is_app_proctype_checks_skipped
add_passed_docker_option remove_passed_docker_option get_phases ps_start ps_stop ps_rebuild is_app_proxy_enabled`

// TestEveryFunction: what is promised is there, and what is there has a test.
func TestEveryFunction(t *testing.T) {
	w := newWorld(t)
	var script strings.Builder
	for _, file := range sourced {
		fmt.Fprintf(&script, "source \"$PLUGIN_CORE_AVAILABLE_PATH/%s\"\n", file)
	}
	script.WriteString("declare -F | cut -d' ' -f3\n")
	there := strings.Fields(w.run(t, script.String(), "").Out)
	has := map[string]bool{}
	for _, name := range there {
		has[name] = true
	}
	for name := range strings.FieldsSeq(promised) {
		if !has[name] {
			t.Errorf("the function %s is not there", name)
		}
	}
	var tests string
	for _, file := range []string{"ask_test.go", "text_test.go"} {
		text, err := os.ReadFile(file)
		must(t, err)
		before, _, _ := strings.Cut(string(text), "const promised = ")
		tests += strings.ReplaceAll(before, `\n`, " ")
	}
	for _, name := range there {
		called := regexp.MustCompile(`(^|[^\w-])` + regexp.QuoteMeta(name) + `($|[^\w-])`)
		if !strings.HasPrefix(name, "_") && !called.MatchString(tests) {
			t.Errorf("the function %s has no test", name)
		}
	}
}

// TestShellcheck reads what is laid out with shellcheck, which must be installed.
func TestShellcheck(t *testing.T) {
	w := newWorld(t)
	var scripts []string
	core := filepath.Join(w.dir, "core-plugins", "available")
	all, err := tree(w.program, core)
	must(t, err)
	for _, one := range all {
		if one.mode == scriptMode {
			scripts = append(scripts, filepath.Join(core, one.path))
		}
		if strings.Contains(string(one.text), "@PROGRAM@") || strings.Contains(string(one.text), "@CORE@") {
			t.Errorf("%s has a place that was not filled in", one.path)
		}
	}
	if len(scripts) < 20 {
		t.Fatalf("found only %d scripts", len(scripts))
	}
	if said, err := exec.Command("shellcheck", append([]string{"-s", "bash"}, scripts...)...).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, said)
	}
}
