#!/usr/bin/env bash
# Keystead and its peers over the same tokens and key sets: e2e/differential/.
#
# Two peers are Rust crates and always asked. PyJWT and joserfc need Python with a way to its package
# registry, jose needs Node.js with a way to its own; a peer that cannot be had is named and left out,
# but not by CI where its interpreter is there, and never because it is another than the lock file says.
# Arguments go to the driver: --seed N for other cases, --together N for more of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
sources=$PWD/e2e/differential
home=$target/e2e/differential
mkdir -p "$home"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

peers=()

# Whether what failed may be left out.
dispensable() { [[ ${CI:-} != true ]] && ! grep -qE 'DO NOT MATCH THE HASHES|EINTEGRITY' "$log"; }

skip() { printf 'skipped: %s: %s\n' "$1" "$2"; }

# Installed outside the sources, once for each state of the lock file.
python_peers() {
    local venv=$home/venv
    # What joserfc needs.
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        skip 'PyJWT and joserfc' "$(python3 --version), and 3.11 or later is needed"
        return
    fi
    if ! cmp -s "$sources/requirements.txt" "$home/installed.txt"; then
        rm -rf "$venv" "$home/installed.txt"
        if ! python3 -m venv "$venv" >"$log" 2>&1; then
            cat "$log" >&2
            dispensable || return 1
            skip 'PyJWT and joserfc' 'no venv (on Debian: apt-get install python3-venv)'
            return
        fi
        if ! "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
            --only-binary :all: --retries 1 -r "$sources/requirements.txt" >"$log" 2>&1; then
            cat "$log" >&2
            dispensable || return 1
            skip 'PyJWT and joserfc' 'they cannot be installed'
            return
        fi
        cp "$sources/requirements.txt" "$home/installed.txt"
    fi
    for peer in PyJWT joserfc; do
        peers+=("$peer=$venv/bin/python,$sources/peers/python.py,$peer")
    done
}

node_peer() {
    # The first in which the algorithms of all cases are.
    local minimum=20.12 node
    command -v npm >/dev/null || { skip jose 'no npm on the PATH'; return; }
    node=$(node -p process.versions.node)
    if [[ $(printf '%s\n' "$minimum" "$node" | sort -V | head -n 1) != "$minimum" ]]; then
        skip jose "Node.js is $node, and $minimum or later is needed"
        return
    fi
    if ! cmp -s "$sources/package-lock.json" "$home/installed.json"; then
        rm -f "$home/installed.json"
        cp "$sources"/{package.json,package-lock.json,.npmrc} "$home"
        if ! (cd "$home" && npm ci --prefer-offline --fetch-retries=1 --fetch-timeout=30000 >"$log" 2>&1); then
            cat "$log" >&2
            dispensable || return 1
            skip jose 'it cannot be installed'
            return
        fi
        cp "$sources/package-lock.json" "$home/installed.json"
    fi
    # Beside its node_modules, because that is where imports look.
    cp "$sources/peers/jose.mjs" "$home"
    peers+=("jose=node,$home/jose.mjs")
}

if command -v python3 >/dev/null; then python_peers; else skip 'PyJWT and joserfc' 'no python3 on the PATH'; fi
if command -v node >/dev/null; then node_peer; else skip jose 'no node on the PATH'; fi

# One folder for both workspaces, so that what they share is built once.
cargo=(--locked --quiet --manifest-path "$sources/Cargo.toml" --target-dir "$target")
cargo test "${cargo[@]}"
cargo build "${cargo[@]}"
"$target/debug/keystead-differential" "$@" "${peers[@]}"
