#!/usr/bin/env bash
# Mutation testing of the rooms that decide: changes one thing at a time in them, and asks whether a
# test notices. .cargo/mutants.toml names the rooms, and says what is left out and why.
#
# Takes half an hour, so that .ci/run does without it. Arguments are cargo-mutants' own:
# scripts/mutants.sh --re src/header.rs for one room, --iterate for what was missed the last time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=27.1.0
tools=$PWD/target/tools
mutants=$tools/bin/cargo-mutants
if [[ $("$mutants" mutants --version 2>/dev/null) != "cargo-mutants $version" ]]; then
    echo "building cargo-mutants, once" >&2
    cargo install --quiet --locked --root "$tools" --version "$version" cargo-mutants
fi

# Every job has a copy of the tree, in which each mutant is built and tested.
unset CARGO_TARGET_DIR
export CARGO_MUTANTS_JOBS=${CARGO_MUTANTS_JOBS:-2}
export CARGO_PROFILE_DEV_DEBUG=none CARGO_PROFILE_TEST_DEBUG=none
# A loop that ends no more can fill the memory before its time is up.
ulimit -v $((8 * 1024 * 1024))

results=target/mutants
mkdir -p "$results"
status=0
"$mutants" mutants --package keystead-core --test-package keystead-core --annotations none \
    --output "$results" "$@" || status=$?
# 2: a mutant was missed. 3: one ran until its time was up, which no test that passes does.
if ((status != 0 && status != 2 && status != 3)); then exit "$status"; fi

count() { wc -l <"$results/mutants.out/$1.txt"; }
caught=$(count caught) timeout=$(count timeout) unviable=$(count unviable) missed=$(count missed)
echo "$caught caught, $timeout timed out, $unviable did not compile, $missed missed"
echo "$((caught + timeout)) passed, $missed failed"
((missed == 0))
