#!/usr/bin/env bash
# The program as it is released, its bill of materials and their checksums, in target/dist:
#
#   keystead           without `keystead idp`, with the list of its crates inside (cargo audit bin)
#   keystead.cdx.json  the same list as CycloneDX
#   SHA256SUMS
#
# With --twice all of it is made again from a copy of the sources in another folder, and must come
# out the same to the byte.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

auditable=0.7.7
cyclonedx=0.5.9
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target/tools

# The time of the last commit stands for now, wherever a tool would write the time down.
SOURCE_DATE_EPOCH=$(git -c safe.directory='*' log -1 --format=%ct)
export SOURCE_DATE_EPOCH

tool() {
    local name=$1 version=$2
    if ! grep -qs "^\"$name $version " "$tools/.crates.toml"; then
        echo "building $name $version, once" >&2
        cargo install --quiet --locked --root "$tools" --version "$version" "$name"
    fi
}

# make_all SOURCES BUILD DIST, from a copy, since cargo-cyclonedx writes beside the sources.
make_all() {
    local sources=$1 build=$2 dist=$3 home=${CARGO_HOME:-$HOME/.cargo}
    rm -rf "$sources"
    mkdir -p "$sources"
    git -c safe.directory='*' ls-files -z | tar -c --null -T - | tar -x -C "$sources"
    # Where things were built must not be seen in what was built, from Rust or from C.
    local flags="--remap-path-prefix=$sources=/keystead --remap-path-prefix=$home=/cargo"
    local map="-ffile-prefix-map=$build=/build -ffile-prefix-map=$sources=/keystead -ffile-prefix-map=$home=/cargo"
    rm -rf "$dist"
    mkdir -p "$dist"
    (
        cd "$sources"
        CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$build RUSTFLAGS="${RUSTFLAGS:-} $flags" \
            CFLAGS="${CFLAGS:-} $map" PATH=$tools/bin:$PATH \
            cargo auditable build --locked --release --package keystead-server --no-default-features
        CARGO_TARGET_DIR=$build PATH=$tools/bin:$PATH cargo cyclonedx --quiet \
            --manifest-path crates/keystead-server/Cargo.toml --no-default-features --format json \
            --spec-version 1.5 --describe binaries
    )
    cp "$build/release/keystead" "$dist/keystead"
    # Our own crates are named by where they stand.
    sed "s|path+file://$sources|path+file:///keystead|g" \
        "$sources/crates/keystead-server/keystead_bin.cdx.json" >"$dist/keystead.cdx.json"
    (cd "$dist" && sha256sum keystead keystead.cdx.json >SHA256SUMS)
}

tool cargo-auditable "$auditable"
tool cargo-cyclonedx "$cyclonedx"

make_all "$target/dist-sources" "$target/dist-build" "$target/dist"
cat "$target/dist/SHA256SUMS"
wc -c "$target/dist/keystead" | awk '{ printf "keystead has %.1f MB\n", $1 / 1e6 }'

if [[ ${1:-} == --twice ]]; then
    again=$(mktemp -d)
    trap 'rm -rf "$again"' EXIT
    make_all "$again/elsewhere" "$again/build" "$again/dist"
    diff "$target/dist/SHA256SUMS" "$again/dist/SHA256SUMS"
    echo "built twice to the same bytes"
fi
