#!/usr/bin/env bash
# Installs what dokku-push's tests (or only its demo) need from Debian's packages and
# sees to it that a Docker Engine answers. Says one line about each thing it did.
#
#   scripts/setup.sh [test|demo]
#
# What is there already is used and left alone. Services that a package brings are neither
# started nor enabled, but for Docker's, so that no port of this machine changes hands.
set -euo pipefail

purpose=${1:-test}
log=${TMPDIR:-/tmp}/dokku-push-setup-$(id -u).log
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
die() {
	printf 'setup: %s\n' "$@" >&2
	exit 1
}

case $purpose in
test | demo) ;;
*) die "usage: scripts/setup.sh [test|demo]" ;;
esac

# One set-up at a time: packages of tests that start together ask for it together.
exec 9>"$log.lock"
flock 9

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n true 2>/dev/null || say "sudo asks for your password"; sudo "$@"; fi
}

engine_version() { docker version --format '{{.Server.Version}}' 2>/dev/null; }

# program:package, for each thing that is needed.
needs="nginx:nginx curl:curl"
if [ "$purpose" = test ]; then
	needs+=" docker-registry:docker-registry sshd:openssh-server ssh:openssh-client mmdebstrap:mmdebstrap"
	needs+=" nft:nftables conntrack:conntrack iptables:iptables wrk:wrk jq:jq shellcheck:shellcheck git:git"
	needs+=" ps:procps sudo:sudo systemd-analyze:systemd zsh:zsh fish:fish mandoc:mandoc"
fi

engine=$(engine_version || true)
missing=()
for need in $needs; do
	command -v "${need%%:*}" >/dev/null || missing+=("${need#*:}")
done
[ -n "$engine" ] || { command -v dockerd && command -v docker; } >/dev/null || missing+=(docker.io)
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
# Base images are made of busybox alone, so it has to be the static one.
if ! busybox=$(command -v busybox) || head -c 4096 "$busybox" | grep -aq 'ld-\(linux\|musl\)'; then
	missing+=(busybox-static)
fi

install_missing() {
	command -v apt-get >/dev/null || die "these are missing: ${missing[*]}" \
		"this machine has no apt-get: install them with its own package manager (the names are Debian's), then run this again"
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		die "these are missing: ${missing[*]}" "neither root nor sudo is at hand to install them"
	fi
	say "installing ${missing[*]} (log: $log)"
	: >"$log"
	local policy=/usr/sbin/policy-rc.d ours=
	if [ ! -e "$policy" ]; then
		ours=yes
		trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
	if ! as_root "${apt[@]}" update </dev/null >>"$log" 2>&1; then
		tail -n 15 "$log" >&2
		die "apt-get update failed"
	fi
	if ! as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >>"$log" 2>&1; then
		tail -n 15 "$log" >&2
		die "apt-get install failed"
	fi
	if [ -n "$ours" ]; then
		as_root rm -f "$policy"
		trap - EXIT
	fi
	leave_disabled
	hash -r
	say "installed ${missing[*]}"
}

# The packages enable their services for the next boot; whoever asked for a demo did not ask for that.
leave_disabled() {
	[ "$(cat /proc/1/comm)" = systemd ] || return 0
	local package unit
	for package in "${missing[@]}"; do
		case $package in
		nginx | docker-registry | nftables) unit=$package ;;
		openssh-server) unit=ssh ;;
		*) continue ;;
		esac
		as_root systemctl disable -q "$unit" >>"$log" 2>&1 || say "could not disable $unit: see $log"
	done
}

if [ ${#missing[@]} -gt 0 ]; then
	install_missing
else
	say "all programs are there"
fi

# A pid file left by a killed engine may name some other process by now, and then the engine refuses to start.
drop_stale_pid() {
	local file=$1 name=$2 pid
	[ -e "$file" ] || return 0
	pid=$(cat "$file")
	[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] || as_root rm -f "$file"
}

start_engine() {
	if [ "$(cat /proc/1/comm)" = systemd ]; then
		as_root systemctl start docker
		return
	fi
	drop_stale_pid /var/run/docker.pid dockerd
	drop_stale_pid /var/run/docker/containerd/containerd.pid containerd
	# A session of its own: it outlives this script and hears no signal meant for it. The loop closes what
	# make and flock left open, for a held lock or job pipe would keep them waiting.
	# shellcheck disable=SC2016
	as_root setsid -f bash -c '
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done 2>/dev/null
		echo $$ >/run/dokku-push-dockerd.pid
		exec dockerd </dev/null >/var/log/dokku-push-dockerd.log 2>&1' </dev/null >/dev/null 2>&1
}

engine=${engine:-$(engine_version || true)}
if [ -z "$engine" ]; then
	if [ "$(id -u)" != 0 ] && engine=$(sudo -n docker version --format '{{.Server.Version}}' 2>/dev/null); then
		die "Docker Engine $engine runs, but $(id -un) may not use it" "run 'sudo usermod -aG docker $(id -un)' and log in again"
	fi
	[ -z "${DOCKER_HOST:-}" ] || die "DOCKER_HOST is $DOCKER_HOST, and no engine answers there" "unset it to use an engine of this machine"
	say "starting the Docker Engine"
	start_engine
	for ((i = 0; i < 300; i++)); do
		engine=$(engine_version) && break
		sleep 0.2
	done
	if [ -z "$engine" ]; then
		tail -n 10 /var/log/dokku-push-dockerd.log >&2 2>/dev/null || true
		die "the Docker Engine did not answer within a minute"
	fi
	say "Docker Engine $engine answers"
else
	say "Docker Engine $engine was running already"
fi
