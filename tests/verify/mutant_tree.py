"""The copy of the tree that has all mutants in it, below target/mutants."""

import os
import pathlib
import shutil
import sys
from typing import NamedTuple

from mutant import Numbered

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = ROOT / "target/mutants/tree"
BUILD = ROOT / "target/mutants/build"
# Directories that are made from others.
NOT_COPIED = {".git", "target", "node_modules", "__pycache__"}
# The environment variable with the number of the mutant.
VARIABLE = "ARAWN_MUTANT"
CHOICE = f"""//! The mutant that this process runs with, if any.

use std::sync::LazyLock;

static CHOSEN: LazyLock<Option<u32>> = LazyLock::new(|| std::env::var("{VARIABLE}").ok()?.parse().ok());

pub(crate) fn chosen(number: u32) -> bool {{
    *CHOSEN == Some(number)
}}
"""


class Place(NamedTuple):
    """Where an expression is in its file, and what may stand for it, by the mutants' numbers."""

    start: int
    end: int
    mutated: dict[int, str]


def by_file(mutants: list[Numbered]) -> dict[str, list[Numbered]]:
    files: dict[str, list[Numbered]] = {}
    for numbered in mutants:
        files.setdefault(numbered.path(), []).append(numbered)
    return files


def places_of(text: str, mutants: list[Numbered]) -> list[Place]:
    """The places of the mutants of one file, in the order of the file."""
    places: dict[tuple[int, int], dict[int, str]] = {}
    for numbered in mutants:
        number, _, mutant = numbered
        before, expression, after = mutant.parts()
        found = text.count(before + expression + after)
        if found != 1:
            sys.exit(f"mutant {number}: {numbered.path()} must have once, and has {found} times: {mutant.original}")
        start = text.index(before + expression + after) + len(before)
        places.setdefault((start, start + len(expression)), {})[number] = mutant.mutated
    ordered = [Place(start, end, mutated) for (start, end), mutated in sorted(places.items())]
    for one, other in zip(ordered, ordered[1:]):
        if other.start < one.end:
            sys.exit(f"the mutants {list(one.mutated)} and {list(other.mutated)} overlap")
    return ordered


def with_mutants(text: str, mutants: list[Numbered]) -> str:
    """The text of a file, with all its mutants in it."""
    parts, at = [], 0
    for start, end, mutated in places_of(text, mutants):
        choices = [f"if crate::mutants::chosen({number}) {{ {other} }} else " for number, other in mutated.items()]
        parts += [text[at:start], "(", *choices, "{ ", text[start:end], " })"]
        at = end
    return "".join(parts) + text[at:]


def copy_tree(mutants: list[Numbered]) -> None:
    """Brings the copy up to date. A file that is as it was stays untouched, so cargo does not compile it again."""
    of_file = by_file(mutants)
    copied = {pathlib.Path("src/mutants.rs")}
    put(TREE / "src/mutants.rs", CHOICE.encode(), 0o644)
    for directory, names, files in os.walk(ROOT):
        names[:] = [name for name in names if name not in NOT_COPIED]
        for source in (pathlib.Path(directory, name) for name in files):
            path = source.relative_to(ROOT)
            copied.add(path)
            if source.is_symlink():
                put_link(TREE / path, os.readlink(source))
                continue
            content = source.read_bytes()
            if str(path) in of_file:
                content = with_mutants(content.decode(), of_file[str(path)]).encode()
            if str(path) == "src/lib.rs":
                content += b"\nmod mutants;\n"
            put(TREE / path, content, source.stat().st_mode)
    for file in [file for file in TREE.rglob("*") if file.is_symlink() or file.is_file()]:
        path = file.relative_to(TREE)
        if path not in copied and not NOT_COPIED & set(path.parts):
            file.unlink()


def put(path: pathlib.Path, content: bytes, mode: int) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode & 0o777)


def put_link(path: pathlib.Path, target: str) -> None:
    if not path.is_symlink() or os.readlink(path) != target:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def link_dependencies() -> None:
    """Takes over what target/debug has of the dependencies, so that they are not compiled again.

    Links suffice for libraries, since nobody writes to one again.
    """
    source, destination = ROOT / "target/debug", BUILD / "debug"
    if destination.exists() or not (source / "deps").is_dir():
        return

    def own(_: str, names: list[str]) -> list[str]:
        return [name for name in names if name.startswith("arawn")]

    (destination / "deps").mkdir(parents=True)
    for library in (source / "deps").glob("lib*"):
        if not library.name.startswith("libarawn"):
            os.link(library, destination / "deps" / library.name)
    for name in ("build", ".fingerprint"):
        shutil.copytree(source / name, destination / name, ignore=own)
