#!/usr/bin/env bash
# Every test: first cargo's (units, properties, scenarios, transcripts, doc tests), then the scripts
# in e2e/, which run the program against things that are not written in Rust.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Built apart from the run, so that the compiler's progress is seen and the tests' output is short.
cargo test --workspace --no-run
cargo test --workspace --no-fail-fast --quiet 2>&1 | tee "$log"
awk '/^test result: / { runs++; passed += $4 }
     END { printf "cargo: %d tests passed in %d runs\n", passed, runs; exit passed == 0 }' "$log"

shopt -s nullglob
for script in e2e/*.sh; do
    echo
    echo "== $script"
    bash "$script"
done
