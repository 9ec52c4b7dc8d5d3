#!/usr/bin/env bash
# Downloads dokku-push for this machine, and refuses it unless its checksum is the release's. Without a
# download URL it is the GitHub release of DOKKU_PUSH_VERSION. The program's place is written to
# $GITHUB_OUTPUT as `program`, or else to stdout.
set -euo pipefail

fail() {
	echo "${GITHUB_OUTPUT:+::error title=dokku-push%3A install::}$*" >&2
	exit 1
}

version=${DOKKU_PUSH_VERSION:?the version to install}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || fail "the version is no vX.Y.Z"
base=${DOKKU_PUSH_DOWNLOAD_URL:-https://github.com/dokku-push/dokku-push/releases/download/$version}
case $base in
https://* | file://* | http://127.0.0.1:* | http://localhost:*) ;;
*) fail "download_url is no https URL" ;;
esac

case $(uname -s)/$(uname -m) in
Linux/x86_64) platform=linux_amd64 ;;
Linux/aarch64 | Linux/arm64) platform=linux_arm64 ;;
Darwin/x86_64) platform=darwin_amd64 ;;
Darwin/arm64) platform=darwin_arm64 ;;
*) fail "there is no dokku-push for $(uname -s) on $(uname -m); use a Linux or macOS runner" ;;
esac
name=dokku-push_$platform

dir=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/dokku-push.XXXXXXXX")
for file in SHA256SUMS "$name"; do
	curl --fail --silent --show-error --location --retry 3 --max-time 300 --output "$dir/$file" "${base%/}/$file" ||
		fail "cannot download ${base%/}/$file"
done
wanted=$(awk -v name="$name" '$2 == name || $2 == "*" name {print $1}' "$dir/SHA256SUMS")
[[ $wanted =~ ^[0-9a-f]{64}$ ]] || fail "SHA256SUMS does not name $name once"
if command -v sha256sum >/dev/null; then
	got=$(sha256sum "$dir/$name")
else
	got=$(shasum -a 256 "$dir/$name")
fi
if [[ ${got%% *} != "$wanted" ]]; then
	rm -rf "$dir"
	fail "$name is not what its release says: its checksum is ${got%% *}, and SHA256SUMS has $wanted. Do not use it"
fi
mv "$dir/$name" "$dir/dokku-push"
chmod 0755 "$dir/dokku-push"
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
	echo "program=$dir/dokku-push" >>"$GITHUB_OUTPUT"
else
	echo "$dir/dokku-push"
fi
