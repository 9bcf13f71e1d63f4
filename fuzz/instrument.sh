#!/usr/bin/env bash
# For RUSTC_WRAPPER: has libFuzzer's coverage counted in libarawn and in what reads its input. The counters of a whole compiler
# would be looked through after every input, which takes ten times as long as the input.
set -euo pipefail
compiler=$1
shift
previous=
for argument; do
    [ "$previous" = --crate-name ] && crate=$argument
    previous=$argument
done
case ${crate:-} in
arawn | arawn_fuzz | boon | serde_json | toml | toml_* | wasmparser) exec "$compiler" "$@" ;;
esac
kept=()
for argument; do
    [[ $argument == -Cpasses=sancov-module || $argument == -Cllvm-args=-sanitizer-coverage-* ]] || kept+=("$argument")
done
exec "$compiler" "${kept[@]}"
