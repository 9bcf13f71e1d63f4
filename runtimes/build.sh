#!/usr/bin/env bash
# Builds every runtime here for wasm32-wasip1: those in Rust, and the interpreters by scripts/build.sh.
#
#   build.sh           writes prebuilt/*.wasm and prebuilt/SHA256SUMS
#   build.sh --check   says whether prebuilt/ is what its SHA256SUMS lists, builds aside, and says whether the result is
#                      what lies in prebuilt/, byte for byte (exit code 1: it is not)
#
# The toolchain is rustup's when it has the target (rustup target add wasm32-wasip1), else Debian's packages.
# The same toolchain gives the same bytes on any machine and in any directory; another one may not.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
target=wasm32-wasip1
debian_packages="rustc-web cargo-web rust-web-src lld-19 wasi-libc"
wasi_libc=/usr/lib/wasm32-wasi

# Imports what only components have, and is wrapped as one.
components="http"

# Export `_initialize` and `arawn_run` in place of `_start`.
reactors="factors"

# In C, with a toolchain of their own.
interpreters=(javascript lua)

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

rustup_has_target() {
    local sysroot
    command -v cargo >/dev/null && sysroot=$(rustc --print sysroot 2>/dev/null) &&
        [ -e "$sysroot/lib/rustlib/$target/lib/self-contained/crt1-command.o" ]
}

debian_is_complete() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -x /usr/bin/wasm-ld-19 ] &&
        [ -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml ] && [ -e "$wasi_libc/crt1-command.o" ]
}

install_debian() {
    local command="apt-get install -y --no-install-recommends $debian_packages"
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] ||
        fail "no toolchain for $target: run 'rustup target add $target', or on Debian '$command' as root"
    apt-get update >&2
    $command >&2
}

# 62 KiB of stack rather than 1 MiB keep a fresh instance small. serde_json's deepest typed value, 127 levels, takes about
# half of it. The data follows the stack. With a stack of 64 KiB, the data that passthrough writes to would lie in two pages
# of 4 KiB. With 62 KiB it lies in one, and the host clears each page that a guest has written to. cabi_realloc is the
# SDK's, for the adapter that makes a component of the module.
flags=(-C link-arg=-zstack-size=63488 -C link-arg=--export-if-defined=cabi_realloc)
cargo_args=() # expanded with +, as bash before 4.4 calls an empty array unset

if rustup_has_target; then
    echo "build.sh: $(rustc --version), its own $target" >&2
else
    debian_is_complete || install_debian
    debian_is_complete || fail "Debian's packages are installed but not complete: $debian_packages"
    export PATH="/usr/bin:$PATH"
    export RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-19
    flags+=(-C linker-flavor=wasm-ld -C link-self-contained=no -L "$wasi_libc" -C "link-arg=$wasi_libc/crt1-command.o")
    # Without std's backtrace feature a panic reads no environment variable and the guest has no symboliser in it.
    cargo_args+=(-Zbuild-std=std,panic_abort -Zbuild-std-features=)
    echo "build.sh: $(rustc --version), std from source" >&2
fi

cd "$here"
# First, so that the registry's directories exist and can be remapped.
cargo fetch --locked ${cargo_args[@]+"${cargo_args[@]}"} --target "$target"

# The last prefix that matches wins, so the general ones come first.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
std_source=$(rustc --print sysroot)/lib/rustlib/src/rust
remap() {
    flags+=("--remap-path-prefix=$1=$2")
    [ ! -e "$1" ] || flags+=("--remap-path-prefix=$(readlink -f "$1")=$2")
}
remap "$cargo_home" /cargo
for registry in "$cargo_home"/registry/src/*/; do
    remap "${registry%/}" /registry
done
remap "$std_source" /rust
remap "$here" /runtimes

# Separated by 0x1f, since a directory's name may have spaces in it.
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}")
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
reactor_flags=${CARGO_ENCODED_RUSTFLAGS//crt1-command.o/crt1-reactor.o}

is_in() {
    [[ " $2 " == *" $1 "* ]]
}

# Wraps the module $1 as the component $2. The tool is for this machine, and is kept from one build to the next.
componentize() {
    env -u CARGO_ENCODED_RUSTFLAGS -u RUSTC_BOOTSTRAP \
        cargo run --locked --quiet -p componentize --target-dir "$here/target/tools" -- "$1" "$2"
}

# Builds in $1 and copies the runtimes, with their checksums, to $2.
build() {
    local main name names=() packages=()
    for main in */src/main.rs; do
        name=${main%%/*}
        [ "$name" != componentize ] || continue
        names+=("$name")
        is_in "$name" "$reactors" || packages+=(-p "$name")
    done
    cargo build --locked --release ${cargo_args[@]+"${cargo_args[@]}"} --target "$target" --target-dir "$1" "${packages[@]}"
    for name in $reactors; do
        CARGO_ENCODED_RUSTFLAGS=$reactor_flags cargo rustc --locked --release ${cargo_args[@]+"${cargo_args[@]}"} \
            --target "$target" --target-dir "$1" -p "$name" --lib --crate-type cdylib
    done
    mkdir -p "$2"
    for name in "${names[@]}"; do
        if is_in "$name" "$components"; then
            componentize "$1/$target/release/$name.wasm" "$2/$name.wasm"
        else
            install -m 644 "$1/$target/release/$name.wasm" "$2/$name.wasm"
        fi
    done
    env -u CARGO_ENCODED_RUSTFLAGS -u RUSTC_BOOTSTRAP scripts/build.sh "$2" "${interpreters[@]}"
    (cd "$2" && sha256sum "${names[@]/%/.wasm}" "${interpreters[@]/%/.wasm}" >SHA256SUMS)
}

case "${1-}" in
"")
    build "$here/target" "$here/prebuilt"
    cat prebuilt/SHA256SUMS
    ;;
--check)
    (cd prebuilt && sha256sum --check --quiet --strict SHA256SUMS) || fail "prebuilt/ is not what prebuilt/SHA256SUMS lists"
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    build "$scratch/target" "$scratch/prebuilt"
    # The files themselves, and not their lists alone: a file that no list has would pass.
    if diff -r prebuilt "$scratch/prebuilt"; then
        echo "build.sh: the result is what lies in prebuilt/"
    else
        echo "build.sh: the result differs from prebuilt/; with another toolchain that is no fault" >&2
        exit 1
    fi
    ;;
*)
    fail "unknown argument '$1'; known: --check"
    ;;
esac
