#!/usr/bin/env python3
"""Prints what is worth keeping in view: the core's dependencies, the longest functions, the largest files.

These are figures, not limits: clippy holds the limit on functions, and a file that is clearer long
stays long. Lines of a function are those that hold code; lines of a file are all but its tests.
"""

import re
from pathlib import Path

import rust_text

ROOT = Path(__file__).resolve().parent.parent
SHOWN = 5
_FUNCTION = re.compile(r"\bfn\s+(\w+)")


def main() -> None:
    functions, files = [], []
    for crate in sorted((ROOT / "crates").iterdir()):
        crate_functions, crate_files = measure(crate)
        functions += crate_functions
        files += crate_files
    print("keystead-core depends on:")
    for line in (ROOT / "ci/core-dependencies.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            print(f"  {line}")
    show("functions, by lines of code", functions)
    show("files, by lines without tests", files)


def measure(crate: Path) -> tuple[list, list]:
    """(lines, name) of every function and every file of one crate."""
    functions, files, only_tests = [], [], set()
    texts = {path: rust_text.code_only(path.read_text()) for path in rust_text.sources(crate)}
    for path, code in texts.items():
        only_tests.update(rust_text.test_modules(path, code))
    for path, code in texts.items():
        if path in only_tests:
            continue
        shown = path.relative_to(ROOT)
        files.append((lines_without_tests(code), str(shown)))
        code = rust_text.without_tests(code)
        functions += [(lines, f"{name} ({shown}:{at})") for lines, name, at in functions_of(code)]
    return functions, files


def lines_without_tests(code: str) -> int:
    """All lines of a file, comments and blank ones too, less those of its test items."""
    tests = sum(code.count("\n", start, end) + 1 for start, end in rust_text.test_items(code))
    return code.count("\n") - tests


def functions_of(code: str):
    """(lines of code, name, first line) of every function that has a body."""
    for match in _FUNCTION.finditer(code):
        opening = rust_text.body_start(code, match.end())
        if opening is None:
            continue
        text = code[match.start() : rust_text.matching_brace(code, opening) + 1]
        lines = sum(1 for line in text.splitlines() if line.strip())
        yield lines, match[1], code.count("\n", 0, match.start()) + 1


def show(title: str, measured: list) -> None:
    measured.sort(reverse=True)
    sizes = sorted(lines for lines, _ in measured)
    half, most = sizes[len(sizes) // 2], sizes[len(sizes) * 9 // 10]
    print(f"{len(sizes)} {title}: half have at most {half}, nine in ten at most {most}; the largest:")
    for lines, name in measured[:SHOWN]:
        print(f"  {lines:5}  {name}")


if __name__ == "__main__":
    main()
