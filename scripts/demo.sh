#!/usr/bin/env bash
# Shows one app's life on an embedded host: push, change one line, push again, list the releases, roll back.
# Everything it makes is under .demo and in the engine under the host's label; `scripts/demo.sh clean` takes it away.
set -euo pipefail
cd "$(dirname "$0")/.."

demo=$PWD/.demo
root=$demo/host
app=dokku-push-demo
base=dokku-push-test/busybox
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf 'demo: %s\n' "$*"; }
fail() {
	printf 'demo: %s\n' "$*" >&2
	[ ! -s "$demo/agent.log" ] || { echo "the end of $demo/agent.log:" && tail -n 20 "$demo/agent.log"; } >&2
	exit 1
}

# Processes of this demo's host: the agent, and what it started in sessions of their own. All name its folder.
processes() {
	local file
	for file in /proc/[0-9]*/cmdline; do
		grep -qzF "$root" "$file" 2>/dev/null || continue
		file=${file#/proc/}
		[ "${file%/cmdline}" = $$ ] || echo "${file%/cmdline}"
	done
}

stop_host() {
	local pid i
	if [ -e "$demo/agent.pid" ]; then
		pid=$(cat "$demo/agent.pid")
		if grep -qx "$pid" <<<"$(processes)"; then # in a pipe, grep's early end would fail it
			kill "$pid"
			for ((i = 0; i < 100; i++)); do
				[ -e "/proc/$pid" ] || break
				sleep 0.2
			done
		fi
	fi
	for pid in $(processes); do kill -9 "$pid" 2>/dev/null || true; done
}

# The host's id labels its containers; it is in the host.json of its state.
host_id() {
	[ -d "$root" ] || return 0
	find "$root" -name host.json -exec sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' {} + | head -n 1
}

# Only images that this host's releases name: another host on the engine may have an app of the same name.
remove_images() {
	local ours image name
	ours=$(find "$root" -path '*/releases/*.json' -exec grep -oh 'sha256:[0-9a-f]\{64\}' {} + 2>/dev/null | sort -u)
	[ -n "$ours" ] || return 0
	docker images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' |
		while read -r image name; do
			case $name in "dokku/$app:"* | "dokku-push/$app:"*) ;; *) continue ;; esac
			grep -qx "$image" <<<"$ours" || continue
			[ "${name##*:}" != "<none>" ] || name=$image
			docker rmi "$name" >/dev/null 2>&1 || true # used by a container that is not ours
		done
}

clean() {
	[ -d "$demo" ] || return 0
	stop_host
	if docker version >/dev/null 2>&1; then
		local id
		id=$(host_id)
		[ -z "$id" ] || docker ps -aq --filter "label=com.dokku-push.host=$id" | xargs -r docker rm -fv >/dev/null
		remove_images
		[ ! -e "$demo/made-base" ] || docker rmi -f "$base" >/dev/null 2>&1 || true
	fi
	rm -rf "$demo"
}

# The app's Dockerfile starts from Debian's static busybox: no registry is asked for anything.
make_base() {
	docker image inspect "$base" >/dev/null 2>&1 && return
	local tree=$demo/base busybox applet
	busybox=$(command -v busybox)
	mkdir -p "$tree"/{bin,etc,root,tmp}
	cp -L "$busybox" "$tree/bin/busybox"
	for applet in $("$busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
	touch "$demo/made-base"
	tar -C "$tree" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . |
		docker import -c 'ENV PATH=/bin:/usr/bin' -c 'CMD ["/bin/sh"]' - "$base" >/dev/null
	rm -rf "$tree"
	say "made the base image $base from $busybox"
}

# field NAME: a field of the one line that the agent prints when it is ready.
field() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$demo/agent.out"; }

start_host() {
	setsid bin/dokku-agent serve --root "$root" </dev/null >"$demo/agent.out" 2>"$demo/agent.log" &
	local pid=$! i
	echo "$pid" >"$demo/agent.pid"
	for ((i = 0; i < 300; i++)); do
		[ -n "$(field http)" ] && break
		[ -e "/proc/$pid" ] || fail "dokku-agent ended before it was ready"
		sleep 0.1
	done
	[ -n "$(field http)" ] || fail "dokku-agent is not ready after 30 s"
	say "dokku-agent serves $root: ssh on $(field ssh), nginx on $(field http)"
	DOKKU_HOST=dokku@$(field ssh)
	DOKKU_SSH_HOST_KEY=$(field host_key)
	DOKKU_SSH_KEY_FILE=$(field key)
	XDG_STATE_HOME=$demo/state
	XDG_CACHE_HOME=$demo/cache
	export DOKKU_HOST DOKKU_SSH_HOST_KEY DOKKU_SSH_KEY_FILE XDG_STATE_HOME XDG_CACHE_HOME
}

# client WORDS...: runs dokku-push; its answer is shown, its story kept, and told when it fails.
client() {
	local exit=0
	bin/dokku-push "$@" 2>"$demo/push.log" | sed 's/^/      /' || exit=$?
	[ "$exit" = 0 ] && return
	cat "$demo/push.log" >&2
	fail "dokku-push $* failed with exit code $exit"
}

# expect TEXT: asks the app through nginx and wants that answer.
expect() {
	local answer
	answer=$(curl -sS --max-time 10 -H "Host: $app.localhost" "http://$(field http)/") || fail "the app does not answer"
	say "the app answers: $answer"
	[ "$answer" = "$1" ] || fail "that should have been: $1"
}

if [ "${1:-}" = clean ]; then
	clean
	say "nothing is left"
	exit
fi

clean # a former run's host
start=$SECONDS
mkdir -p "$demo"
cp -R testdata/apps/hello "$demo/app"
make_base
start_host

say "pushing $app"
client --app "$app" "$demo/app"
expect "Hello, world"

sed -i 's/Hello, world/Hello again/' "$demo/app/www/cgi-bin/index.cgi"
say "changed one line, pushing again"
client --app "$app" "$demo/app"
expect "Hello again"

say "the releases"
client releases --app "$app"
say "rolling back"
client rollback --app "$app"
expect "Hello, world"

say "done in $((SECONDS - start)) s; the host still runs: curl -H 'Host: $app.localhost' http://$(field http)/"
say "'make demo-clean' ends it and takes everything away"
