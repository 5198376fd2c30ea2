#!/bin/sh
# Installs what the build needs on Debian or Ubuntu; extra package names may be given. Does nothing when all is there.
set -eu
packages="g++ cmake ninja-build ccache make libhwy-dev nlohmann-json3-dev doctest-dev python3 python3-jsonschema $*"
missing=""
for p in $packages; do
  dpkg -s "$p" >/dev/null 2>&1 || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "installing:$missing"
$sudo apt-get update -q
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing
