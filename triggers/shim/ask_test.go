package shim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asking are the functions that only ask: what they are called with and what the program
// then hears, line by line. Each is tried with an answer and with a refusal.
const asking = `
common/functions | is_valid_app_name app | <is_valid_app_name><app>
common/functions | is_deployed app | <is_deployed><app>
common/functions | get_app_scheduler app | <get_app_scheduler><app>
common/functions | dokku_version | <dokku_version>
common/functions | release_and_deploy app "" config-redeploy | <release_and_deploy><app><><config-redeploy>
common/functions | docker_cleanup app | <docker_cleanup><app>
common/functions | get_available_port | <get_available_port>
common/functions | get_app_image_repo app | <get_app_image_repo><app>
common/functions | get_running_image_tag app v1 | <get_running_image_tag><app><v1>
common/functions | get_deploying_app_image_name app v1 repo | <get_deploying_app_image_name><app><v1><repo>
common/functions | get_image_builder_type image app | <get_image_builder_type><image><app>
common/functions | is_image_cnb_based image | <is_image_cnb_based><image>
common/functions | is_image_herokuish_based image app | <is_image_herokuish_based><image><app>
common/functions | verify_image image | <verify_image><image>
common/functions | APP=app; copy_from_image image "a b" to | <copy_from_image><app><image><a b><to>
common/functions | APP=app; copy_dir_from_image image a to | <copy_dir_from_image><app><image><a><to>
common/functions | get_app_container_ids app web | <get_app_container_ids><app><web>
common/functions | get_app_running_container_ids app | <get_app_running_container_ids><app>
common/functions | get_app_running_container_types app | <get_app_running_container_types><app>
common/functions | get_container_ports id | <get_container_ports><id>
common/functions | is_container_status id Running | <is_container_status><id><Running>
common/functions | fn-plugn-trigger-exists post-build | <plugn-trigger-exists><post-build>
common/functions | fn-registry-docker-config-dir app | <registry-docker-config-dir><app>
common/functions | fn-migrate-config-to-property p k DOKKU_K | <prop><migrate-config-to-property><p><k><DOKKU_K>
common/functions | dokku_apps false | <dokku_apps><false>
common/property-functions | fn-plugin-property-setup p | <prop><setup><p>
common/property-functions | fn-plugin-property-setup-app p app | <prop><setup-app><p><app>
common/property-functions | fn-plugin-property-delete p app k | <prop><del><p><app><k>
common/property-functions | fn-plugin-property-exists p app k | <prop><exists><p><app><k>
common/property-functions | fn-plugin-property-write p app k "a  b" | <prop><set><p><app><k>¦a  b¦
common/property-functions | fn-plugin-property-get p --global k "" | <prop><get-with-default><p><--global><k><>
common/property-functions | fn-plugin-property-get-default p app k d | <prop><get-with-default><p><app><k><d>
common/property-functions | fn-plugin-property-get-all p app | <prop><get-all><p><app>
common/property-functions | fn-plugin-property-get-all-by-prefix p app x | <prop><get-all-by-prefix><p><app><x>
common/property-functions | fn-plugin-property-destroy p _all_ | <prop><destroy><p><_all_>
common/property-functions | fn-plugin-property-clone p old new | <prop><clone><p><old><new>
common/property-functions | fn-plugin-property-list-add p app k v 0 | <prop><rpush><p><app><k><v><0>
common/property-functions | fn-plugin-property-list-get p app k | <prop><lrange><p><app><k>
common/property-functions | fn-plugin-property-list-get-by-index p app k 0 | <prop><lindex><p><app><k><0>
common/property-functions | fn-plugin-property-list-get-by-value p app k v | <prop><lismember><p><app><k><v>
common/property-functions | fn-plugin-property-list-length p app k | <prop><llen><p><app><k>
common/property-functions | fn-plugin-property-list-remove p app k v | <prop><lrem><p><app><k><v>
common/property-functions | fn-plugin-property-list-remove-by-prefix p app k x | <prop><lrem-by-prefix><p><app><k><x>
common/property-functions | fn-plugin-property-list-set p app k 0 v | <prop><lset><p><app><k><0><v>
config/functions | config_get --quoted app KEY | <config><get><--quoted><app><KEY>
config/functions | config_set --no-restart app "A=b c" B= | <config><set>¦--no-restart;app;A=b c;B=;¦
config/functions | config_unset --no-restart app A B | <config><unset><--no-restart><app><A><B>
config/functions | config_clear app | <config><clear><app>
config/functions | config_keys app | <config><keys><app>
config/functions | config_bundle app | <config><bundle><app>
config/functions | config_all app | <config><show><app>
config/functions | config_export app app --merged --format shell | <config><export><app><--merged><--format><shell>
config/functions | config_export global | <config><export><--global>
config/functions | config_sub get app KEY | <config><get><app><KEY>
config/functions | config_sub set app A=1 | <config><set>¦app;A=1;¦
config/functions | config_sub export app | <config><export>
certs/functions | get_ssl_hostnames app | <get_ssl_hostnames><app>
domains/functions | get_app_domains app | <get_app_domains><app>
domains/functions | get_default_vhosts app | <get_default_vhosts><app>
domains/functions | get_global_vhosts | <get_global_vhosts>
domains/functions | is_app_vhost_enabled app | <is_app_vhost_enabled><app>
domains/functions | is_valid_hostname example.com | <is_valid_hostname><example.com>
domains/functions | domains_add app a.org b.org | <domains><add><app><a.org><b.org>
domains/functions | domains_clear app | <domains><clear><app>
domains/functions | domains_disable app | <domains><disable><app>
domains/functions | domains_enable app | <domains><enable><app>
domains/functions | domains_remove app a.org | <domains><remove><app><a.org>
domains/functions | domains_reset app | <domains><reset><app>
domains/functions | domains_set app a.org | <domains><set><app><a.org>
nginx-vhosts/functions | APP=app; restart_nginx other | <restart_nginx><app>
nginx-vhosts/functions | validate_nginx app --clean | <validate_nginx><app><--clean>
nginx-vhosts/internal-functions | fn-nginx-access-log-path app | <nginx-property><--app><app><access-log-path>
nginx-vhosts/internal-functions | fn-nginx-access-log-format app | <nginx-property><--app><app><access-log-format>
nginx-vhosts/internal-functions | fn-nginx-error-log-path app | <nginx-property><--app><app><error-log-path>
nginx-vhosts/internal-functions | fn-nginx-computed-access-log-path app | <nginx-property><--app><app><--computed><access-log-path>
nginx-vhosts/internal-functions | fn-nginx-computed-access-log-format app | <nginx-property><--app><app><--computed><access-log-format>
nginx-vhosts/internal-functions | fn-nginx-computed-error-log-path app | <nginx-property><--app><app><--computed><error-log-path>
nginx-vhosts/internal-functions | fn-nginx-global-access-log-path app | <nginx-property><--app><app><--global><access-log-path>
nginx-vhosts/internal-functions | fn-nginx-global-access-log-format app | <nginx-property><--app><app><--global><access-log-format>
nginx-vhosts/internal-functions | fn-nginx-global-error-log-path app | <nginx-property><--app><app><--global><error-log-path>
proxy/functions | is_app_proxy_enabled app | <is_app_proxy_enabled><app>
proxy/functions | get_app_proxy_type app | <get_app_proxy_type><app>
ps/functions | ps_start app | <ps_start><app>
ps/functions | ps_stop app | <ps_stop><app>
ps/functions | ps_restart app | <ps_restart><app>
ps/functions | ps_rebuild app | <ps_rebuild><app>
checks/functions | is_app_proctype_checks_disabled app web | <is_app_proctype_checks_disabled><app><web>
checks/functions | is_app_proctype_checks_skipped app web | <is_app_proctype_checks_skipped><app><web>
docker-options/functions | APP=app; local_phases=(build deploy); add_passed_docker_option local_phases[@] "--link x:y" | <docker-options><add><app><build,deploy><--link x:y>
docker-options/functions | APP=app; remove_passed_docker_option build,run --link x:y | <docker-options><remove><app><build,run><--link x:y>
`

// TestAsking: what a function is called with arrives, its answer is the program's, and so is
// its exit code. What stdin holds for the plugin stays there.
func TestAsking(t *testing.T) {
	w := newWorld(t)
	for line := range strings.SplitSeq(strings.TrimSpace(asking), "\n") {
		parts := strings.SplitN(line, " | ", 3)
		file, call, heard := parts[0], parts[1], "<shim>"+strings.ReplaceAll(parts[2], "¦", "|")+"\n"
		t.Run(call, func(t *testing.T) {
			script := fmt.Sprintf("source \"$PLUGIN_CORE_AVAILABLE_PATH/%s\"\n%s\ncat", file, call)
			got := w.run(t, script, "the plugin's", "FAKE_OUT=the answer")
			if diff := cmp.Diff(result{Out: "the answer\nthe plugin's", Asked: heard}, got); diff != "" {
				t.Error(diff)
			}
			got = w.run(t, script, "the plugin's", "FAKE_CODE=3")
			if diff := cmp.Diff(result{Code: 3, Asked: heard}, got); diff != "" {
				t.Errorf("refused: %s", diff)
			}
			if strings.HasPrefix(call, "is_") || strings.HasSuffix(call, "exists p app k") {
				inIf := fmt.Sprintf("source \"$PLUGIN_CORE_AVAILABLE_PATH/%s\"\nif %s; then echo yes; else echo no; fi", file, call)
				if got := w.run(t, inIf, "", "FAKE_CODE=1"); got.Out != "no\n" || got.Code != 0 {
					t.Errorf("no means %+v, want a no", got)
				}
			}
		})
	}
}

// TestPrograms: the files that plugins call beside those they source.
func TestPrograms(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		call, code string
		want       result
	}{
		{call: "common/prop get-with-default p app k d", want: result{Out: "the answer\n", Asked: "<shim><prop><get-with-default><p><app><k><d>\n"}},
		{call: "common/prop get p app k", want: result{Out: "the answer\n", Asked: "<shim><prop><get><p><app><k>\n"}},
		{call: "common/prop set p app k v", want: result{Out: "the answer\n", Asked: "<shim><prop><set><p><app><k>|v|\n"}},
		{call: "common/prop lwrite p app k a 'b c'", want: result{Out: "the answer\n", Asked: "<shim><prop><lwrite><p><app><k>|a,b c|\n"}},
		{call: "common/prop lwrite p app k", want: result{Out: "the answer\n", Asked: "<shim><prop><lwrite><p><app><k>\n"}},
		{call: "common/prop lismember p app k v", code: "1", want: result{Out: "the answer\n", Code: 1, Asked: "<shim><prop><lismember><p><app><k><v>\n"}},
		{call: "common/prop", want: result{Err: " !     prop: name a subcommand\n", Code: 1}},
		{call: "common/common is-deployed app", code: "1", want: result{Out: "the answer\n", Code: 1, Asked: "<shim><is_deployed><app>\n"}},
		{call: "common/common is-valid-app-name app", want: result{Out: "the answer\n", Asked: "<shim><is_valid_app_name><app>\n"}},
		{call: "common/common is-valid-app-name-old a_b", want: result{Out: "the answer\n", Asked: "<shim><is_valid_app_name><--old><a_b>\n"}},
		{call: "common/common verify-app-name app", code: "20", want: result{Out: "the answer\n", Code: 20, Asked: "<shim><verify_app_name><app>\n"}},
		{call: "common/common scheduler-detect app", want: result{Out: "the answer\n", Asked: "<shim><get_app_scheduler><app>\n"}},
		{call: "common/common image-is-cnb-based image", want: result{Out: "the answer\ntrue\n", Asked: "<shim><is_image_cnb_based><image>\n"}},
		{call: "common/common image-is-herokuish-based image", code: "1", want: result{Out: "the answer\nfalse\n", Asked: "<shim><is_image_herokuish_based><image>\n"}},
		{call: "common/common copy-from-image app image a b", want: result{Out: "the answer\n", Asked: "<shim><copy_from_image><app><image><a><b>\n"}},
		{call: "common/common copy-dir-from-image app image a b", want: result{Out: "the answer\n", Asked: "<shim><copy_dir_from_image><app><image><a><b>\n"}},
		{call: "common/common plugn-trigger-exists x", code: "1", want: result{Out: "the answer\nfalse\n", Asked: "<shim><plugn-trigger-exists><x>\n"}},
		{call: "common/common --quiet docker-cleanup app", want: result{Out: "the answer\n", Asked: "<shim><docker_cleanup><app>\n"}},
		{call: "common/common other", want: result{Err: " !     common: other is no subcommand\n", Code: 1}},
		{call: "config/config_sub get app KEY", code: "1", want: result{Out: "the answer\n", Code: 1, Asked: "<shim><config><get><app><KEY>\n"}},
		{call: "config/config_sub", want: result{Err: " !     config_sub: name a subcommand\n", Code: 1}},
		{call: "config/subcommands/show config:show app", want: result{Out: "the answer\n", Asked: "<shim><config><show><app>\n"}},
		{call: "nginx-vhosts/nginx-property --app app --computed hsts", want: result{Out: "the answer\n", Asked: "<shim><nginx-property><--app><app><--computed><hsts>\n"}},
		{call: "cron/cron-write", want: result{Out: "the answer\n", Asked: "<shim><cron-write>\n"}},
	} {
		t.Run(test.call, func(t *testing.T) {
			got := w.run(t, "\"$PLUGIN_AVAILABLE_PATH\"/"+test.call, "", "FAKE_OUT=the answer", "FAKE_CODE="+test.code)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEnding: functions that end the script, wherever it calls them.
func TestEnding(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		file, script, code string
		want               int
		out                string
	}{
		{"common/functions", `if verify_app_name app; then echo on; fi; echo on`, "20", 20, ""},
		{"common/functions", `verify_app_name app && APP=app; echo "$APP"`, "0", 0, "app\n"},
		{"common/functions", `dokku_apps || true; echo on`, "1", 1, ""},
		{"common/functions", `for app in $(dokku_apps "false"); do echo "$app"; done; echo on`, "1", 0, "on\n"},
		{"common/functions", `get_app_image_name app v1 || true; echo on`, "1", 1, ""},
		{"common/functions", `get_deploying_app_image_name app || true; echo on`, "1", 1, ""},
		{"nginx-vhosts/functions", `validate_nginx || true; echo on`, "1", 1, ""},
		{"docker-options/functions", `APP=app; add_passed_docker_option build,other --x || true; echo on`, "0", 1, ""},
		{"docker-options/functions", `get_phases build,deploy,run; get_phases "build run"`, "0", 0, "build deploy run\nbuild run\n"},
	} {
		got := w.run(t, fmt.Sprintf("source \"$PLUGIN_CORE_AVAILABLE_PATH/%s\"\n%s", test.file, test.script), "", "FAKE_CODE="+test.code)
		if got.Code != test.want || got.Out != test.out {
			t.Errorf("%s with %s: %+v, want code %d and %q", test.script, test.code, got, test.want, test.out)
		}
	}
}

// TestImageName: the function leaves the repository where scripts of the seed look for it.
func TestImageName(t *testing.T) {
	w := newWorld(t)
	const source = "source \"$PLUGIN_CORE_AVAILABLE_PATH/common/functions\"\n"
	got := w.run(t, source+`get_app_image_name app; echo "$IMAGE_REPO"`, "", "FAKE_OUT=dokku/app")
	want := result{Out: "dokku/app\ndokku/app\n", Asked: "<shim><get_app_image_repo><app>\n<shim><get_app_image_name><app>\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = w.run(t, source+`get_app_image_name app v1 mine; echo "$IMAGE_REPO"`, "", "FAKE_OUT=mine:v1")
	want = result{Out: "mine:v1\nmine\n", Asked: "<shim><get_app_image_name><app><v1><mine>\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestProtocol: what the shell asks is in the table, and what is in the table is asked.
func TestProtocol(t *testing.T) {
	var names []string
	for _, one := range Functions() {
		if slices.Contains(names, one.Name) {
			t.Errorf("%s stands twice in the table", one.Name)
		}
		names = append(names, one.Name)
	}
	all, err := tree("/program", "/core")
	must(t, err)
	var asked []string
	for _, one := range all {
		for _, match := range question.FindAllStringSubmatch(string(one.text), -1) {
			words := strings.Fields(match[1])
			name := words[0]
			if !slices.Contains(names, name) && len(words) > 1 {
				name = words[0] + " " + words[1]
			}
			if passedOn[match[1]] {
				continue
			}
			if !slices.Contains(names, name) {
				t.Errorf("%s asks %q, which is not in the table", one.path, match[1])
			}
			asked = append(asked, name)
		}
	}
	for _, name := range names {
		if !slices.Contains(asked, name) {
			t.Errorf("nothing asks %q, which is in the table", name)
		}
	}
	if len(asked) < 80 {
		t.Errorf("found %d questions in the shell files, want all of them", len(asked))
	}
}
