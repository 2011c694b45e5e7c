"""Rust source as text: enough of the language to tell code from comments, strings and tests."""

import re
from pathlib import Path

_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\b(?:br|cr|r)(?P<hashes>\#*)")
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<char>'(?:\\(?:u\{[0-9a-fA-F_]*\}|.[^']?)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)
_TEST_ITEM = re.compile(r"#\[cfg\(test\)\]")


def sources(crate: Path) -> list[Path]:
    """The Rust files of a crate's library and program; its tests/ and examples/ are not among them."""
    return sorted((crate / "src").rglob("*.rs"))


def code_only(text: str) -> str:
    """The same text with comments and the content of literals blanked; lines keep their numbers."""
    out = []
    at = 0
    while match := _TOKEN.search(text, at):
        out.append(text[at : match.start()])
        end = _end_of(text, match)
        out.append(_blank(text[match.start() : end]))
        at = end
    out.append(text[at:])
    return "".join(out)


def test_items(code: str) -> list[tuple[int, int]]:
    """Where the items behind `#[cfg(test)]` start and end, in code as `code_only` gives it."""
    found = []
    at = 0
    while match := _TEST_ITEM.search(code, at):
        at = _end_of_item(code, match.end())
        found.append((match.start(), at))
    return found


def without_tests(code: str) -> str:
    """The same code with its test items blanked."""
    for start, end in test_items(code):
        code = code[:start] + _blank(code[start:end]) + code[end:]
    return code


def test_modules(path: Path, code: str) -> list[Path]:
    """Files that `#[cfg(test)] mod NAME;` in this file brings in: they hold tests only."""
    folder = path.parent if path.stem in ("lib", "main", "mod") else path.with_suffix("")
    names = re.findall(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", code)
    return [file for name in names for file in (folder / f"{name}.rs", folder / name / "mod.rs")]


def matching_brace(code: str, opening: int) -> int:
    """The index of the brace that closes the one at `opening`."""
    depth = 0
    for at in range(opening, len(code)):
        if code[at] == "{":
            depth += 1
        elif code[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    return len(code) - 1


def body_start(code: str, at: int) -> int | None:
    """The brace that opens the item starting at `at`, or None when it ends in a semicolon first."""
    depth = 0
    for index in range(at, len(code)):
        char = code[index]
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif depth == 0 and char == "{":
            return index
        elif depth == 0 and char == ";":
            return None
    return None


def _end_of_item(code: str, at: int) -> int:
    opening = body_start(code, at)
    if opening is None:
        semicolon = code.find(";", at)
        return len(code) if semicolon < 0 else semicolon + 1
    return matching_brace(code, opening) + 1


def _end_of(text: str, match: re.Match) -> int:
    if match["block"]:
        return _end_of_block_comment(text, match.end())
    if match["raw"]:
        closing = text.find('"' + match["hashes"], match.end())
        return len(text) if closing < 0 else closing + 1 + len(match["hashes"])
    return match.end()


def _end_of_block_comment(text: str, at: int) -> int:
    depth = 1
    while depth:
        mark = re.compile(r"/\*|\*/").search(text, at)
        if mark is None:
            return len(text)
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
    return at


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)
