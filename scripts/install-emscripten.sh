#!/bin/sh
# Puts Emscripten 3.1.69 of Debian 13 into a folder of its own, for use on Debian 12, whose own is too old
# (docs/decisions/0009-emscripten.md): install-emscripten.sh FOLDER. Does nothing when it is there.
# The compiler and the linker are Debian 12's clang-19 and lld-19; only Binaryen brings its C library along.
set -eu
dest=${1:?usage: install-emscripten.sh FOLDER}
version=3.1.69
"$(dirname "$0")"/install-deps.sh clang-19 lld-19 llvm-19
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)
[ "$(cat "$dest/installed" 2>/dev/null)" != $version ] || exit 0
rm -rf "$dest"/*
echo "installing Emscripten $version into $dest"

# apt with lists and a cache of its own, for the next Debian on the mirror that this one uses.
mkdir -p "$dest/apt/lists/partial" "$dest/apt/cache/archives/partial"
key=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
  grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ')
[ -n "$mirror" ] || { echo "no Debian mirror in /etc/apt"; exit 1; }
echo "deb [signed-by=$key] $mirror trixie main" > "$dest/apt/sources.list"
apt() {
  apt-get -q -o Dir::Etc::sourcelist="$dest/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::status=/dev/null \
    -o Dir::State::lists="$dest/apt/lists" -o Dir::Cache="$dest/apt/cache" -o APT::Sandbox::User= "$@"
}
apt update
cd "$dest/apt"
apt download emscripten binaryen node-acorn libc6 libstdc++6 libgcc-s1
case "$(echo emscripten_*.deb)" in emscripten_$version*) ;; *) echo "the mirror has another version: $(echo emscripten_*.deb)"; exit 1 ;; esac
for package in *.deb; do dpkg -x "$package" "$dest"; done
rm -rf "$dest/apt"

# Binaryen's programs under the C library that they were built with.
lib=$dest/usr/lib/x86_64-linux-gnu
mkdir -p "$dest/binaryen/bin"
for program in "$dest"/usr/bin/wasm*; do
  printf '#!/bin/sh\nexec "%s/ld-linux-x86-64.so.2" --library-path "%s" "%s" "$@"\n' "$lib" "$lib" "$program" \
    > "$dest/binaryen/bin/$(basename "$program")"
done
chmod +x "$dest"/binaryen/bin/*
mkdir -p "$dest/usr/share/emscripten/node_modules"
ln -s "$dest/usr/share/nodejs/acorn" "$dest/usr/share/emscripten/node_modules/acorn"
cat > "$dest/usr/share/emscripten/.emscripten" <<END
LLVM_ROOT = '/usr/bin'
LLVM_ADD_VERSION = '19'
CLANG_ADD_VERSION = '19'
BINARYEN_ROOT = '$dest/binaryen'
NODE_JS = '$(command -v node)'
FROZEN_CACHE = True
END
echo $version > "$dest/installed"
