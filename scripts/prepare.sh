#!/usr/bin/env bash
# Checks for what building and testing needs. As root on Debian it installs what is missing, except
# Rust itself: Debian's is too old, so the way to get it is printed instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

minimum_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

missing=()
have() { command -v "$1" >/dev/null 2>&1; }

have make || missing+=(make)
have cc || missing+=(gcc libc6-dev)
have python3 || missing+=(python3)
have curl || missing+=(curl)

if ((${#missing[@]})); then
    if [[ $(id -u) == 0 ]] && have apt-get; then
        echo "installing ${missing[*]}" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq </dev/null >&2
        apt-get install -qq -y --no-install-recommends "${missing[@]}" </dev/null >&2
    else
        echo "error: missing ${missing[*]}" >&2
        echo "hint: on Debian or Ubuntu: sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
fi

# rustup puts cargo where a shell that was started earlier, or by a service, does not look.
if ! have cargo; then
    echo "error: no cargo on the PATH" >&2
    if [[ -x $HOME/.cargo/bin/cargo ]]; then
        echo "hint: it is in $HOME/.cargo/bin; run: . \"$HOME/.cargo/env\"" >&2
    else
        echo "hint: install Rust $minimum_rust or later as https://rustup.rs describes" >&2
    fi
    exit 1
fi

rust=$(rustc --version | cut -d' ' -f2)
if [[ $(printf '%s\n' "$minimum_rust" "$rust" | sort -V | head -n 1) != "$minimum_rust" ]]; then
    echo "error: rustc is $rust, and $minimum_rust or later is needed" >&2
    echo "hint: rustup update stable" >&2
    exit 1
fi
