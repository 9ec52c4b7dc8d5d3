#!/usr/bin/env bash
# Makes a Debian package of dokku-agent: deb.sh VERSION ARCH PROGRAM OUT.deb [compression]. It only lays files:
# setting a host up, which asks for decisions, stays `dokku-agent install`. A host that is set up already runs
# the new program after an upgrade. The same sources give the same package.
set -euo pipefail
version=${1#v} arch=$2 program=$3 out=$4
if [[ $version =~ ^[0-9.]+-[0-9]+-g ]]; then
	version=${version//-/+} # commits after a release come after it
else
	version=${version//-/\~} # what is before a release comes before it
fi
[[ $version =~ ^[0-9] ]] || version=0~$version
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
install -D -m 0755 "$program" "$root/usr/bin/dokku-agent"
install -D -m 0644 agent/install/dokku-agent.service "$root/usr/lib/systemd/system/dokku-agent.service"
install -D -m 0644 LICENSE "$root/usr/share/doc/dokku-agent/copyright"
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<EOF
Package: dokku-agent
Version: $version
Architecture: $arch
Maintainer: dokku-push <https://github.com/dokku-push/dokku-push>
Section: admin
Priority: optional
Depends: nginx, openssh-server, sudo
Recommends: docker.io | docker-ce, git
Homepage: https://github.com/dokku-push/dokku-push
Description: deploys that are transactions, on your own server
 The host's side of dokku-push. It takes images over ssh, checks their
 containers and moves the traffic; what fails before that is undone.
 After the installation: dokku-agent install
EOF
install -m 0755 scripts/deb/postinst scripts/deb/prerm "$root/DEBIAN/"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --build --root-owner-group -Z"${5:-xz}" "$root" "$out" >/dev/null
