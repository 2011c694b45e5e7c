#!/usr/bin/env python3
"""The five rules of direction, checked against the manifests, the dependency graph and the sources.

    core <- keystead <- {server, bindings, user code}

1. keystead-core depends on nothing of ours; what else it depends on is written down; it has no I/O.
2. keystead depends on keystead-core only.
3. Faces depend on keystead, never on each other.
4. Cryptography and HTTP clients are keystead's (and the testkit's), HTTP servers the faces' (and the
   testkit's). The network is reached in one room.
5. The testkit never stands under core or keystead, and the program has it behind a feature.

CONTRIBUTING.md says why. ci/rules_selftest.sh breaks each rule and expects this script to notice.
The clippy.toml of each crate and deny.toml hold the parts that a compiler or cargo-deny sees better.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import rust_text

ROOT = Path(__file__).resolve().parent.parent

# Which of our crates each of our crates may depend on.
OURS = {
    "keystead-core": set(),
    "keystead": {"keystead-core"},
    "keystead-testkit": {"keystead", "keystead-core"},
    "keystead-server": {"keystead", "keystead-testkit"},
}
# Tests in tests/ may use the testkit too: they are crates of their own.
OURS_IN_TESTS = {"keystead": {"keystead-testkit"}, "keystead-server": {"keystead-testkit"}}

# Rule 4: (what it is, crates, features as (crate, prefix of the feature), who may have it).
KINDS = [
    (
        "cryptography",
        {
            "aws-lc-rs", "aws-lc-sys", "ed25519-dalek", "hmac", "jsonwebtoken", "k256", "openssl",
            "p256", "p384", "rcgen", "ring", "rsa", "rustls", "rustls-native-certs", "rustls-webpki",
            "sha2", "tokio-rustls", "webpki-roots",
        },
        set(),
        {"keystead", "keystead-testkit"},
    ),
    (
        "an HTTP client",
        {"hyper-rustls", "reqwest", "ureq"},
        {("hyper", "client"), ("hyper-util", "client")},
        {"keystead", "keystead-testkit"},
    ),
    (
        "an HTTP server",
        {"actix-web", "axum", "tonic", "tower-http", "warp"},
        {("hyper", "server"), ("hyper-util", "server")},
        {"keystead-server", "keystead-testkit"},
    ),
]  # fmt: skip

# Rule 1: modules of the standard library through which the outside comes in.
CORE_NEVER = re.compile(r"\bstd::(env|fs|io|net|os|process|thread)\b|\b(SystemTime|Instant)\b")
# Rule 4: what reaches the network, and the room of keystead where it may stand.
NETWORK = re.compile(r"\b(TcpStream|TcpSocket|UdpSocket|UnixStream|lookup_host|to_socket_addrs)\b")
NETWORK_ROOM = "http"

# Rule 3: the folders of the server that are faces; files that open other faces, and which; and the
# ways in that stand beside each other in one folder.
FACES = ["cli", "grpc", "http"]
OPENS = {("cli", "serve"): {"http", "grpc"}}
WAYS_IN = {
    "http": {"forward_auth", "health", "metrics", "refresh", "status", "verify"},
    "grpc": {"ext_authz"},
}


def main() -> int:
    packages = read_packages()
    problems = [
        *rule_1(packages),
        *rule_2(packages),
        *rule_3(packages),
        *rule_4(packages),
        *rule_5(packages),
        *clippy_files(packages),
    ]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print("the five rules of direction hold")
    return 1 if problems else 0


def read_packages() -> dict:
    """Our crates by name, as their manifests describe them."""
    try:
        found = json.loads(cargo("metadata", "--no-deps", "--format-version", "1"))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"error: the manifests cannot be read: {error.stderr.strip()}") from error
    packages = {package["name"]: package for package in found["packages"]}
    if packages.keys() != OURS.keys():
        strangers = ", ".join(sorted(packages.keys() ^ OURS.keys()))
        raise SystemExit(f"error: say in ci/rules.py what these crates may depend on: {strangers}")
    return packages


def rule_1(packages):
    name = "keystead-core"
    yield from our_dependencies(1, packages[name])
    for path, code in code_of(packages[name]):
        for outside in sorted({match[0] for match in CORE_NEVER.finditer(with_flat_uses(code))}):
            yield f"rule 1: {path} names {outside}; the core has no I/O, clock or environment"
    graph = ("--edges", "normal,build", "--all-features", "--target", "all", "--prefix", "none")
    try:
        tree = cargo("tree", "--package", name, *graph)
    except subprocess.CalledProcessError as error:
        # Arrows that go round in a circle end here, and another rule names the one that is wrong.
        yield f"rule 1: the graph of {name} cannot be read: {error.stderr.strip()}"
        return
    there = {line.split()[0] for line in tree.splitlines() if line} - {name}
    listed = (ROOT / "ci/core-dependencies.txt").read_text().splitlines()
    allowed = {line for line in listed if line and not line.startswith("#")}
    for dependency in sorted(there - allowed):
        yield f"rule 1: {name} now depends on {dependency}, which ci/core-dependencies.txt does not list"
    for dependency in sorted(allowed - there):
        yield f"rule 1: ci/core-dependencies.txt lists {dependency}, which {name} no longer depends on"


def rule_2(packages):
    yield from our_dependencies(2, packages["keystead"])


def rule_3(packages):
    for name in ("keystead-testkit", "keystead-server"):
        yield from our_dependencies(3, packages[name])
    source = (crate_of(packages["keystead-server"]) / "src").relative_to(ROOT)
    for file, code in code_of(packages["keystead-server"]):
        here = module_of(file.relative_to(source))
        if not here or here[0] not in FACES:
            continue
        for there in paths_named(code, here):
            if trespass := across_faces(here, there):
                yield f"rule 3: {file} uses {'::'.join(there)}: {trespass}"


def rule_4(packages):
    for name, package in packages.items():
        for dependency in package["dependencies"]:
            for what, crates, features, owners in KINDS:
                if name not in owners and brings(dependency, crates, features):
                    place = " and ".join(sorted(owners))
                    yield f"rule 4: {name} depends on {dependency['name']}, {what}: its place is {place}"
    room = (crate_of(packages["keystead"]) / "src" / NETWORK_ROOM).relative_to(ROOT)
    for path, code in code_of(packages["keystead"]):
        if room not in path.parents:
            for name in sorted({match[0] for match in NETWORK.finditer(code)}):
                yield f"rule 4: {path} names {name}; the network is reached in {room} only"


def rule_5(packages):
    for name in ("keystead-core", "keystead"):
        for dependency in packages[name]["dependencies"]:
            if dependency["name"] == "keystead-testkit" and dependency["kind"] != "dev":
                yield f"rule 5: the testkit stands under {name}"
        for path, code in code_of(packages[name], tests_too=True):
            if "keystead_testkit" in code:
                yield f"rule 5: {path} uses the testkit; tests that do live in tests/, with one copy of {name}"
    for dependency in packages["keystead-server"]["dependencies"]:
        always = dependency["kind"] is None and not dependency["optional"]
        if dependency["name"] == "keystead-testkit" and always:
            yield "rule 5: keystead-server has the testkit without its feature idp; make it optional"


def clippy_files(packages):
    """Clippy reads the nearest clippy.toml only, so each crate's repeats the lines of the root's."""
    common = settings(ROOT / "clippy.toml")
    for package in packages.values():
        file = crate_of(package) / "clippy.toml"
        missing = common - settings(file) if file.exists() else common
        for line in sorted(missing):
            yield f"{file.relative_to(ROOT)} lacks the line of the root's clippy.toml: {line}"


def our_dependencies(rule: int, package: dict):
    name = package["name"]
    for dependency in package["dependencies"]:
        in_tests = OURS_IN_TESTS.get(name, set()) if dependency["kind"] == "dev" else set()
        allowed = OURS[name] | in_tests
        if dependency["name"] in OURS and dependency["name"] not in allowed:
            yield f"rule {rule}: {name} depends on {dependency['name']}"


def brings(dependency: dict, crates: set, features: set) -> bool:
    name = dependency["name"]
    prefixes = tuple(prefix for crate, prefix in features if crate == name)
    return name in crates or any(feature.startswith(prefixes) for feature in dependency["features"])


def across_faces(here: list[str], there: list[str]) -> str | None:
    """Why a file of one face must not name this module, or None when it may."""
    face, other = here[0], there[0]
    if other not in FACES:
        return None
    if other != face:
        opened = OPENS.get(tuple(here[:2]), set())
        return None if other in opened else f"{face} and {other} are two faces"
    ways = WAYS_IN.get(face, set())
    if len(here) > 1 and len(there) > 1 and here[1] != there[1] and {here[1], there[1]} <= ways:
        return f"{face}::{here[1]} and {face}::{there[1]} are two ways in"
    return None


def paths_named(code: str, here: list[str]):
    """Every path from this crate's root that a file names, in `use` lines and elsewhere."""
    inline = re.findall(r"\b(?:crate|super|self)(?:\s*::\s*\w+)+", code)
    for path in [*(path for tree in use_trees(code) for path in flatten(tree)), *inline]:
        if resolved := resolve([part.strip() for part in path.split("::")], here):
            yield resolved


def use_trees(code: str) -> list[str]:
    return re.findall(r"\buse\s+([^;]+);", code)


def flatten(tree: str) -> list[str]:
    """The plain paths of a use tree: `a::{b, c::d}` is `a::b` and `a::c::d`."""
    opening = tree.find("{")
    if opening < 0:
        return [tree.split(" as ")[0].strip()]
    prefix, inner = tree[:opening].strip(), tree[opening + 1 : rust_text.matching_brace(tree, opening)]
    parts, depth, start = [], 0, 0
    for at, char in enumerate(inner + ","):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(inner[start:at].strip())
            start = at + 1
    return [prefix + path for part in parts if part for path in flatten(part)]


def resolve(path: list[str], here: list[str]) -> list[str] | None:
    """A path as written in module `here`, from the crate's root; None when it leaves the crate."""
    base = {"crate": [], "self": here, "super": here[:-1]}.get(path[0])
    if base is None:
        return None
    rest = path[1:]
    while rest and rest[0] == "super":
        base, rest = base[:-1], rest[1:]
    return [*base, *rest] or None


def module_of(file: Path) -> list[str]:
    parts = [*file.parts[:-1], file.stem]
    return parts[:-1] if file.stem in ("lib", "main", "mod") else parts


def code_of(package: dict, tests_too: bool = False):
    """(path, code) of each source file of a crate."""
    texts = {file: rust_text.code_only(file.read_text()) for file in rust_text.sources(crate_of(package))}
    only_tests = {module for file, code in texts.items() for module in rust_text.test_modules(file, code)}
    for file, code in texts.items():
        if tests_too:
            yield file.relative_to(ROOT), code
        elif file not in only_tests:
            yield file.relative_to(ROOT), rust_text.without_tests(code)


def with_flat_uses(code: str) -> str:
    """The code, with what its `use` lines name spelled out after it."""
    return "\n".join([code, *(path for tree in use_trees(code) for path in flatten(tree))])


def settings(file: Path) -> set[str]:
    lines = (line.strip() for line in file.read_text().splitlines())
    return {line for line in lines if " = " in line and not line.startswith("#")}


def crate_of(package: dict) -> Path:
    return Path(package["manifest_path"]).parent


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
