#!/bin/sh
# Builds the add-on with a C compiler and the headers of Node.js: native/build.sh [OUTPUT]
#
# One file serves all versions of Node.js: it uses Node-API 8 and libuv alone. The packages of the platforms have it; build
# it where there is no such package. NODE_HEADERS names the directory of node_api.h and uv.h, if it is not beside node.
set -eu
sources=$(dirname "$0")
output=${1:-$sources/../build/arawn.node}
headers=${NODE_HEADERS:-$("${NODE:-node}" --print 'path.resolve(process.execPath, "../../include/node")')}
[ -e "$headers/node_api.h" ] || {
    echo "$headers has no node_api.h: install the headers of Node.js (apt install libnode-dev), or let NODE_HEADERS name them" >&2
    exit 1
}
case $(uname) in
    Darwin) linking='-bundle -undefined dynamic_lookup' ;;
    *) linking=-shared ;;
esac
mkdir -p "$(dirname "$output")"
# A program that runs meanwhile has the old file or the new one.
# shellcheck disable=SC2086
${CC:-cc} -std=gnu11 -O2 -Wall -Wextra ${CFLAGS:-} -DNAPI_VERSION=8 -fPIC -fvisibility=hidden $linking \
    -I"$headers" -o "$output.$$" "$sources"/*.c
mv "$output.$$" "$output"
