#!/usr/bin/env bash
# Writes the generated pages under docs/, or with --check compares them with what is there.
#
# A page docs/NAME.md is what `cargo run --example doc_NAME` prints; the example lives in the crate
# that owns the subject, so the page and the code it describes have one source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

check=false
case ${1:-} in
    "") ;;
    --check) check=true ;;
    *) echo "usage: scripts/docs.sh [--check]" >&2; exit 64 ;;
esac

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

status=0
shopt -s nullglob
for generator in crates/*/examples/doc_*.rs; do
    crate=$(basename "$(dirname "$(dirname "$generator")")")
    example=$(basename "$generator" .rs)
    page=${example#doc_}.md
    cargo run --quiet --package "$crate" --example "$example" >"$fresh/$page"
    if ! $check; then
        mkdir -p docs
        cp "$fresh/$page" "docs/$page"
        echo "docs/$page written"
    elif diff -u "docs/$page" "$fresh/$page" >&2; then
        echo "docs/$page is what would be generated"
    else
        echo "error: docs/$page is not what $generator prints" >&2
        echo "hint: make docs" >&2
        status=1
    fi
done

# A page whose generator was renamed or removed would otherwise stay for ever, unchecked.
for page in docs/*.md; do
    if head -n 1 "$page" | grep -q '^<!-- generated' && [[ ! -e $fresh/$(basename "$page") ]]; then
        echo "error: $page says that it is generated, but no example doc_$(basename "$page" .md) exists" >&2
        status=1
    fi
done
exit $status
