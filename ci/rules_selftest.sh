#!/usr/bin/env bash
# Breaks each rule of direction in a copy of the tree, and expects its checker to notice: a rule that
# cannot fail protects nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
copy=$root/target/rules-selftest
passed=0
failed=0

# What the broken copies depend on is in the lock file already; nothing is asked of the network.
export CARGO_NET_OFFLINE=true

fresh_copy() {
    rm -rf "$copy"
    mkdir -p "$copy"
    cp -R Cargo.toml Cargo.lock clippy.toml deny.toml ci crates "$copy/"
}

add_dependency() { # CRATE 'LINE'
    sed -i "0,/^\[dependencies\]/s||[dependencies]\n$2|" "$copy/crates/$1/Cargo.toml"
}

add_source() { # PATH 'CODE'
    mkdir -p "$(dirname "$copy/crates/$1")"
    printf '\n%s\n' "$2" >>"$copy/crates/$1"
}

verdict() { # NAME STATUS OUTPUT EXPECTED
    if [[ $2 != 0 && $3 == *"$4"* ]]; then
        echo "noticed: $1"
        passed=$((passed + 1))
    else
        printf "NOT NOTICED: %s\n  expected a failure that says: %s\n  got status %s and: %s\n" "$1" "$4" "$2" "$3" >&2
        failed=$((failed + 1))
    fi
}

rules_notice() { # NAME EXPECTED
    local output status=0
    output=$(python3 "$copy/ci/rules.py" 2>&1) || status=$?
    verdict "$1" "$status" "$output" "$2"
}

deny_notices() { # NAME EXPECTED
    local output status=0
    output=$(bash ci/deny.sh "$copy" 2>&1) || status=$?
    verdict "$1" "$status" "$output" "$2"
}

fresh_copy
if ! { python3 "$copy/ci/rules.py" && bash ci/deny.sh "$copy"; } >/dev/null; then
    echo "error: a rule is broken already (make rules deny); nothing can be learnt from breaking it again" >&2
    exit 1
fi

fresh_copy
add_dependency keystead-core 'bytes.workspace = true'
rules_notice "rule 1: a crate that core's list does not name" "rule 1: keystead-core now depends on bytes"

fresh_copy
add_dependency keystead-core 'keystead-testkit.workspace = true'
rules_notice "rule 1: core depends on a crate of ours" "rule 1: keystead-core depends on keystead-testkit"
rules_notice "rule 5: the testkit under core" "rule 5: the testkit stands under keystead-core"

fresh_copy
add_source keystead-core/src/lib.rs 'use std::{collections::BTreeMap, env};'
rules_notice "rule 1: core names std::env" "lib.rs names std::env"

fresh_copy
add_dependency keystead 'keystead-testkit.workspace = true'
rules_notice "rule 2: keystead depends on the testkit" "rule 2: keystead depends on keystead-testkit"
rules_notice "rule 5: the testkit under keystead" "rule 5: the testkit stands under keystead"

fresh_copy
add_source keystead-server/src/http/selftest.rs 'use crate::{bearer, cli::explain};'
rules_notice "rule 3: the HTTP face uses the command line" "http and cli are two faces"

fresh_copy
add_source keystead-server/src/http/forward_auth.rs 'fn selftest() { super::verify::respond(); }'
rules_notice "rule 3: one way in uses another" "http::forward_auth and http::verify are two ways in"

fresh_copy
add_dependency keystead-server 'keystead-core.workspace = true'
rules_notice "rule 3: a face goes round keystead" "rule 3: keystead-server depends on keystead-core"

fresh_copy
add_dependency keystead-server 'aws-lc-rs.workspace = true'
rules_notice "rule 4: cryptography in the server" "rule 4: keystead-server depends on aws-lc-rs, cryptography"
deny_notices "rule 4, by cargo-deny: cryptography in the server" "of banned crate 'aws-lc-rs"

fresh_copy
add_dependency keystead 'axum.workspace = true'
rules_notice "rule 4: an HTTP server in keystead" "rule 4: keystead depends on axum, an HTTP server"
deny_notices "rule 4, by cargo-deny: an HTTP server in keystead" "of banned crate 'axum"

fresh_copy
sed -i 's|^hyper = .*|hyper = { workspace = true, features = ["client"] }|' "$copy/crates/keystead-server/Cargo.toml"
rules_notice "rule 4: an HTTP client in the server" "rule 4: keystead-server depends on hyper, an HTTP client"

fresh_copy
add_source keystead/src/lib.rs 'fn selftest() { let _ = tokio::net::TcpStream::connect("h:1"); }'
rules_notice "rule 4: the network outside its room" "lib.rs names TcpStream"

fresh_copy
sed -i 's|^keystead-testkit = .*|keystead-testkit.workspace = true|; s|"dep:keystead-testkit"||' "$copy/crates/keystead-server/Cargo.toml"
rules_notice "rule 5: the testkit in every build of the program" "rule 5: keystead-server has the testkit without"

fresh_copy
add_source keystead/src/lib.rs '#[cfg(test)] mod tests { use keystead_testkit::Mint; }'
rules_notice "rule 5: the testkit in unit tests of keystead" "lib.rs uses the testkit"

fresh_copy
sed -i '/^too-many-lines-threshold/d' "$copy/crates/keystead/clippy.toml"
rules_notice "a clippy.toml that lost a line of the root's" "too-many-lines-threshold"

# Clippy sees what a name in the text does not show. One run over all four crates; CI itself runs
# clippy with warnings as errors, so a warning here is a failure there.
fresh_copy
forbidden='mod selftest { pub(crate) fn outside() { '
add_source keystead-core/src/lib.rs "$forbidden let _ = std::path::Path::new(\"/\").exists(); } }"
add_source keystead/src/lib.rs "$forbidden let _ = std::time::SystemTime::now(); } }"
add_source keystead-testkit/src/lib.rs "$forbidden std::process::exit(1); } }"
add_source keystead-server/src/lib.rs "$forbidden std::process::exit(1); } }"
output=$(CARGO_TARGET_DIR=$root/target cargo clippy --manifest-path "$copy/Cargo.toml" --workspace --all-features \
    --message-format short 2>&1) || true
for crate in keystead-core keystead keystead-testkit keystead-server; do
    found=$(grep "^crates/$crate/src/lib.rs.*disallowed method" <<<"$output" || true)
    status=$([[ -n $found ]] && echo 1 || echo 0)
    verdict "clippy: $crate calls what its clippy.toml forbids" "$status" "${found:-$output}" "disallowed method"
done

rm -rf "$copy"
echo "rules of direction, broken on purpose: $passed noticed, $failed not noticed"
[[ $failed == 0 ]]
