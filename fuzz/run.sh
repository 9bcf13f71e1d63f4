#!/usr/bin/env bash
# run.sh SECONDS [TARGET…]: runs each target, or those that are named, for so long by libFuzzer, and for so long in watched
# children. Prints how many inputs each took. What is found is in target/fuzz/artifacts and target/tmp/findings.
#
# New inputs that reach new code are kept in target/fuzz/corpus from run to run. Those worth keeping for good, small ones,
# go to fuzz/corpus, which `make test` replays.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
[ $# -gt 0 ] || set -- $(basename -s .rs -a fuzz/targets/*.rs)
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
# What is unsafe in libarawn is little, and the compiler's checks stay on: AddressSanitizer would find less than it costs.
RUSTC_WRAPPER=$PWD/fuzz/instrument.sh cargo fuzz build --sanitizer none --target-dir "$PWD/target/fuzz"
built=(target/fuzz/*/release)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
run() {
    local target=$1 work=$scratch/$1
    mkdir -p "$work" "target/fuzz/corpus/$target" target/fuzz/artifacts
    if TMPDIR=$work XDG_CACHE_HOME=$work "${built[0]}/$target" -max_total_time="$seconds" -max_len=4096 -len_control=20 \
        -timeout=10 -rss_limit_mb=3072 -artifact_prefix="target/fuzz/artifacts/$target-" -print_final_stats=1 \
        "target/fuzz/corpus/$target" "fuzz/corpus/$target" 2>"$work.log"; then
        echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work.log") inputs by libFuzzer"
    else
        tail -40 "$work.log" >&2
        echo "$target: FOUND something"
        touch "$scratch/found"
    fi
}
# As many at once as there are processors.
for target; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    run "$target" &
done
wait
ARAWN_FUZZ_SECONDS=$seconds ARAWN_FUZZ_TARGETS="$*" cargo test --locked --test fuzz -- --ignored --nocapture for_a_time
[ ! -e "$scratch/found" ]
