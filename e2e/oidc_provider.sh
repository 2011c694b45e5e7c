#!/usr/bin/env bash
# Keystead beside oidc-provider (npm), a real OpenID provider: e2e/oidc-provider/scenario.mjs.
#
# Needs Node.js, which is not installed for it: what Debian 12 has is too old, and nothing else here
# needs it. Without it, or without a way to the package registry, this says so and skips.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The first with crypto.hash, which oidc-provider calls.
minimum_node=20.12

skip() {
    printf '\nSKIPPED: the tests beside a real OpenID provider did not run: %s\n\n' "$1" >&2
    echo "0 passed, 0 failed"
    exit 0
}

command -v node >/dev/null || skip "no node on the PATH (Node.js $minimum_node or later)"
command -v npm >/dev/null || skip "no npm on the PATH"
node=$(node -p process.versions.node)
if [[ $(printf '%s\n' "$minimum_node" "$node" | sort -V | head -n 1) != "$minimum_node" ]]; then
    skip "Node.js is $node, and $minimum_node or later is needed"
fi

# Installed from the lock file, outside the sources, once for each state of the lock file.
target=${CARGO_TARGET_DIR:-$PWD/target}
home=$target/e2e/oidc-provider
mkdir -p "$home"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmp -s e2e/oidc-provider/package-lock.json "$home/installed.json"; then
    rm -f "$home/installed.json"
    cp e2e/oidc-provider/{package.json,package-lock.json,.npmrc} "$home"
    if ! (cd "$home" && npm ci --prefer-offline --fetch-retries=1 --fetch-timeout=30000 >"$log" 2>&1); then
        cat "$log" >&2
        if grep -qE 'code (E[A-Z]*TIMEDOUT|EAI_AGAIN|ECONN[A-Z]+|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|ERR_SOCKET_TIMEOUT)' "$log"; then
            skip "the npm registry cannot be reached"
        fi
        exit 1
    fi
    cp e2e/oidc-provider/package-lock.json "$home/installed.json"
fi
# Beside its node_modules, because that is where imports look.
cp e2e/oidc-provider/server.mjs "$home"

cargo build --quiet --package keystead-server
status=0
node --test-reporter=spec e2e/oidc-provider/scenario.mjs \
    "$target/debug/keystead" "$home/server.mjs" crates/keystead-testkit/src/fixed | tee "$log" || status=$?
# A step is skipped only after another one failed.
awk '$1 == "ℹ" && $2 == "pass" { passed = $3 }
     $1 == "ℹ" && $2 ~ /^(fail|skipped|cancelled)$/ { failed += $3 }
     END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit "$status"
