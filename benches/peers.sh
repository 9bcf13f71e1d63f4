#!/usr/bin/env bash
# Measures libarawn beside Extism, wasmtime's C interface and a process. `make bench-peers` runs it; the table is on stdout.
#
# What it takes is installed and built below target/peers: Extism and wasmtime from PyPI, in the versions named here. What
# cannot be installed or loaded is left out of the table, with a message.
set -euo pipefail
export LC_ALL=C

extism_sys=1.41.0
wasmtime=50.0.1

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
library=${ARAWN_LIBRARY:-$root/target/release/libarawn.so}
rounds=${ARAWN_BENCH_ROUNDS:-300}
python=${PYTHON:-python3}
export PEERS=$root/target/peers

say() {
    echo "peers.sh: $*" >&2
}

# One version of a package of PyPI. The directory is complete or not there.
from_pypi() {
    local directory=$PEERS/$1-$2
    [ ! -e "$directory" ] || return 0
    [ -e "$PEERS/venv" ] || "$python" -m venv "$PEERS/venv" || return 1
    rm -rf "$directory.new"
    "$PEERS/venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$directory.new" "$1==$2" >&2 &&
        mv "$directory.new" "$directory"
}

mkdir -p "$PEERS/catalog"
from_pypi extism-sys $extism_sys || say "extism-sys $extism_sys cannot be installed"
from_pypi wasmtime $wasmtime || say "wasmtime $wasmtime cannot be installed"

# The guests. wasmtime's package turns text into a module; Extism takes the text.
cp "$root/benches/peers/plugin.wat" "$root/runtimes/prebuilt/passthrough.wasm" "$PEERS"
PYTHONPATH=$PEERS/wasmtime-$wasmtime "$python" -c '
import sys, wasmtime
module = wasmtime.wat2wasm(open(sys.argv[1]).read())
open(sys.argv[2], "wb").write(module)
' "$root/benches/peers/echo.wat" "$PEERS/catalog/echo.wasm" || say "the echo of libarawn and wasmtime cannot be made"
printf '[runtimes.echo]\npath = "echo.wasm"\n' >"$PEERS/catalog/catalog.toml"

"${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror -O2 -o "$PEERS/peers" "$root"/benches/peers.c "$root"/benches/peers/*.c -ldl

# The wasmtime that a library has within it, as its panic messages name it.
wasmtime_of() {
    grep -aoE 'wasmtime-[0-9]+\.[0-9]+\.[0-9]+' "$1" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }' | tr - ' '
}

first() {
    find "$PEERS/$1" -name "$2" 2>/dev/null | head -n 1 || true
}

extism_library=$(first "extism-sys-$extism_sys" 'libextism*.so')
wasmtime_library=$(first "wasmtime-$wasmtime" '_libwasmtime.so')
versions="libarawn $(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)"
versions="$versions (with $(sed -n '/^name = "wasmtime"$/{n;s/version = "\(.*\)"/wasmtime \1/p}' "$root/Cargo.lock"))"
[ -z "$wasmtime_library" ] || versions="$versions, wasmtime $wasmtime"
[ -z "$extism_library" ] || versions="$versions, Extism $extism_sys (with $(wasmtime_of "$extism_library"))"

# Extism keeps compiled modules in the user's cache directory unless this is empty. Here it compiles once for all.
EXTISM_CACHE_CONFIG= ARAWN_LIBRARY=$library EXTISM_LIBRARY=$extism_library WASMTIME_LIBRARY=$wasmtime_library \
    "$PEERS/peers" "$rounds" "$versions"
