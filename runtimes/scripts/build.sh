#!/usr/bin/env bash
# Builds the interpreters: build.sh DIRECTORY NAME..., with the names javascript and lua, into
# DIRECTORY/<name>.wasm. They export _initialize, arawn_init and arawn_run in place of _start.
#
# Their sources come from crates.io in the versions that sources/Cargo.lock pins, the compiler from PyPI. The same versions give
# the same bytes on any machine and in any directory.
set -euo pipefail
export LC_ALL=C

ziglang=0.16.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
tools=$root/target/guests/tools

fail() {
    echo "scripts/build.sh: $*" >&2
    exit 1
}

# As guests/build.sh installs it, in the same place.
install_zig() {
    local directory=$tools/ziglang-$ziglang
    zig=$directory/ziglang/zig
    [ ! -e "$directory" ] || return 0
    python3 -m pip --version >/dev/null 2>&1 || fail "pip for Python 3 is missing: apt install python3-pip, or your system's like"
    mkdir -p "$tools"
    rm -rf "$directory.new"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$directory.new" \
        "ziglang==$ziglang" >&2
    mv "$directory.new" "$directory"
}

# The directory of the crate $1's sources.
crate() {
    cargo metadata --locked --format-version 1 --manifest-path "$here/sources/Cargo.toml" |
        python3 -c 'import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$1"
}

# The C sources are named after what they are, since messages may name them.
zig_cc() {
    ZIG_GLOBAL_CACHE_DIR=$work/zig ZIG_LOCAL_CACHE_DIR=$work/zig "$zig" cc -target wasm32-wasi "$@"
}

# Compiles the sources that follow into $work/$name.
compile() {
    local source
    for source in "$@"; do
        zig_cc -std=gnu11 "${flags[@]}" "${warnings[@]}" -mexec-model=reactor "-ffile-prefix-map=$work=." "-ffile-prefix-map=$root=." "-ffile-prefix-map=$sources=." \
            -I"$here" -DNDEBUG -D_GNU_SOURCE -c -o "$work/$name/$(basename "$source").o" "$source"
    done
}

# The stack lies first, so that one that is too deep traps instead of overwriting data.
link() {
    zig_cc -s -mexec-model=reactor -Wl,-z,stack-size="$1" -Wl,--initial-memory="$2" -o "$work/$name.wasm" "$work/$name"/*.o
    mkdir -p "$out"
    install -m 644 "$work/$name.wasm" "$out/$name.wasm"
}

build_javascript() {
    sources=$(crate rquickjs-sys)/quickjs
    mkdir -p "$work/quickjs"
    python3 "$root/runtimes/javascript/patch.py" "$sources" "$work/quickjs"
    flags=(-O2 -I"$work/quickjs" -I"$root/runtimes/javascript" -include "$root/runtimes/javascript/stack.h")
    compile "$root"/runtimes/javascript/engine.c "$work"/quickjs/{libregexp,libunicode,dtoa}.c
    warnings=(-Wall -Wextra -Werror)
    compile "$root"/runtimes/javascript/{main,globals,read,write,inspect,rejections}.c "$here"/{entry,host,json}.c
    link "$(sed -n 's/^#define STACK_BYTES //p' "$root/runtimes/javascript/stack.h")" 1048576
}

# Lua's errors are setjmp and longjmp, which LLVM makes exceptions of; guests/setjmp has what a libc does not come with for them.
build_lua() {
    local source all=()
    sources=$(crate lua-src)/lua-5.4.9
    for source in "$sources"/*.c; do
        case ${source##*/} in
        ldblib.c | linit.c | liolib.c | lmathlib.c | loadlib.c | loslib.c) ;;
        *) all+=("$source") ;;
        esac
    done
    flags=(-O2 -I"$sources" -I"$root/runtimes/lua" -mexception-handling -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false
        '-DLUA_USER_H="user.h"' '-Dluai_makeseed(L)=((void)(L),0x2c1b3c6du)' -D_WASI_EMULATED_SIGNAL)
    compile "${all[@]}" "$root"/runtimes/guests/setjmp/{unwind.c,tag.s}
    compile "$root"/runtimes/lua/{mathlib,oslib}.c
    warnings=(-Wall -Wextra -Werror)
    compile "$root"/runtimes/lua/{main,libraries,arawn,read,write}.c "$here"/{entry,host,json}.c
    link 262144 524288
}

[ $# -ge 2 ] || fail "usage: build.sh DIRECTORY NAME..."
out=$1
shift
work=$root/target/guests/scripts
mkdir -p "$work"
install_zig
for name in "$@"; do
    rm -rf "${work:?}/$name"
    mkdir -p "$work/$name"
    warnings=(-w)
    "build_$name"
done
