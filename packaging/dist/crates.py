"""The crates whose code is in what this repository releases: those that cargo links, and those in the embedded runtimes.

`cargo metadata` knows a crate's licence, sources and dependencies, but counts features that only tests turn on. `cargo tree`
knows the features of one package's own build, but goes on into what procedural macros need, which is not linked. A crate is
linked where both have it.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIMES = ROOT / "runtimes"
RUNTIMES_TARGET = "wasm32-wasip1"
# The embedded runtimes in C: which crate has their sources (runtimes/scripts/build.sh), and under which licence.
INTERPRETERS = {"javascript": "rquickjs-sys", "lua": "lua-src"}


@dataclass(frozen=True)
class Crate:
    name: str
    version: str
    license: str
    repository: "str | None"
    # Where its sources are, unless they are not on this machine.
    directory: "Path | None"
    # Of its archive, as the lock file has it. Crates of this repository have none.
    sha256: "str | None"
    dependencies: "frozenset[tuple[str, str]]" = frozenset()

    @property
    def is_own(self) -> bool:
        """Of this repository, but for the sources of others that are in it."""
        return self.sha256 is None and "vendor" not in self.directory.relative_to(ROOT).parts

    @property
    def key(self) -> "tuple[str, str]":
        return self.name, self.version


def cargo(*words: str) -> str:
    command = [os.environ.get("CARGO") or "cargo", *words]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


@dataclass(frozen=True)
class Toolchain:
    """What a library or program was built with."""

    rustc: str
    # Where zig has linked the file.
    zig: "str | None"


def toolchain(file: "Path | None") -> Toolchain:
    """As packaging/build-for has noted it beside a file. Where there is no note, the `rustc` of $PATH has built it."""
    note = file and file.resolve().with_suffix(".toolchain")
    if note and note.exists():
        shown = note.read_text()
    else:
        command = ["rustc", "--version", "--verbose"]
        shown = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {key: re.search(rf"^{key}: (\S+)", shown, re.MULTILINE) for key in ("release", "zig")}
    return Toolchain(found["release"][1], found["zig"] and found["zig"][1])


@dataclass(frozen=True)
class Contained:
    """What is in a file for musl besides crates."""

    name: str
    license: str
    description: str


def contained(target: str, is_program: bool, built: Toolchain) -> "list[Contained]":
    """Systems with musl need not have an unwinder, and a static program has its C library in it."""
    if not target.endswith("-musl"):
        return []
    giver = f"zig {built.zig}" if built.zig else f"Rust {built.rustc}"
    unwinder = Contained("llvm-libunwind", "Apache-2.0 WITH LLVM-exception", f"LLVM's unwinder, as {giver} has it")
    libc = Contained("musl", "MIT", f"The C library in the static program, as {giver} has it")
    return [unwinder, libc] if is_program else [unwinder]


def checksums(lock: Path) -> "dict[tuple[str, str], str]":
    """Those of a lock file, which cargo writes with one key on a line. Python has a reader of TOML from 3.11 on."""
    tables = lock.read_text().split("\n[[package]]\n")[1:]
    packages = [dict(re.findall(r'^(\w+) = "(.*)"$', table, re.MULTILINE)) for table in tables]
    return {(package["name"], package["version"]): package.get("checksum") for package in packages}


def spdx(expression: "str | None") -> str:
    """Before SPDX, crates wrote a slash for `OR`."""
    return " OR ".join(part.strip() for part in (expression or "NOASSERTION").split("/"))


def is_macro(package: dict) -> bool:
    return any("proc-macro" in target["kind"] for target in package["targets"])


def linked(workspace: Path, packages: "list[str]", target: str) -> "dict[tuple[str, str], Crate]":
    """What the packages of a workspace link for a target, the packages themselves among it."""
    where = ["--locked", "--manifest-path", str(workspace / "Cargo.toml")]
    chosen = [word for package in packages for word in ("--package", package)]
    tree = cargo("tree", *where, *chosen, "--edges", "normal", "--prefix", "none", "--target", target)
    in_tree = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(cargo("metadata", *where, "--format-version", "1", "--filter-platform", target))
    by_id = {package["id"]: package for package in metadata["packages"]}
    sums = checksums(workspace / "Cargo.lock")

    def is_linked(identity: str) -> bool:
        package = by_id[identity]
        return (package["name"], f"v{package['version']}") in in_tree and not is_macro(package)

    edges = {
        node["id"]: [
            other["pkg"]
            for other in node["deps"]
            if is_linked(other["pkg"]) and any(kind["kind"] is None for kind in other["dep_kinds"])
        ]
        for node in metadata["resolve"]["nodes"]
    }

    def key(identity: str) -> "tuple[str, str]":
        return by_id[identity]["name"], by_id[identity]["version"]

    waiting = [identity for identity, package in by_id.items() if package["name"] in packages and is_linked(identity)]
    found = {}
    while waiting:
        identity = waiting.pop()
        if key(identity) in found:
            continue
        package = by_id[identity]
        found[key(identity)] = Crate(
            package["name"],
            package["version"],
            spdx(package["license"]),
            package["repository"],
            Path(package["manifest_path"]).parent,
            sums.get(key(identity)),
            frozenset(map(key, edges[identity])),
        )
        waiting += edges[identity]
    return found


def builtins() -> "list[str]":
    """The embedded runtimes, as src/builtins.rs lists them."""
    return re.findall(r'^ *builtin!\("(\w+)"', (ROOT / "src/builtins.rs").read_text(), re.MULTILINE)


def interpreter(runtime: str) -> Crate:
    sums = checksums(RUNTIMES / "scripts/sources/Cargo.lock")
    (name, version) = next(key for key in sums if key[0] == INTERPRETERS[runtime])
    return Crate(name, version, "MIT", None, RUNTIMES / runtime, sums[name, version])


def embedded() -> "dict[str, dict[tuple[str, str], Crate]]":
    """For each embedded runtime the crates whose code is in its module."""
    found = {}
    for runtime in builtins():
        if runtime in INTERPRETERS:
            crate = interpreter(runtime)
            found[runtime] = {crate.key: crate}
        else:
            found[runtime] = linked(RUNTIMES, [runtime], RUNTIMES_TARGET)
    return found


def merged(*parts: "dict[tuple[str, str], Crate]") -> "list[Crate]":
    """Each crate once, in order, with all that it depends on in any of them."""
    found = {}
    for part in parts:
        for key, crate in part.items():
            known = found.get(key)
            found[key] = replace(crate, dependencies=crate.dependencies | known.dependencies) if known else crate
    return [found[key] for key in sorted(found)]
