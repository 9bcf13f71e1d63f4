"""Writes the licences of all third-party code in a release, each text once:

    packaging/dist/notices.py --target TARGET --package arawn --out THIRD-PARTY-NOTICES.txt FILE

FILE is the library or the program, beside which packaging/build-for has noted what built it.
The texts are those in the sources of each crate. A crate without one is under the licence that its manifest names.
"""

import argparse
import re
from pathlib import Path

import crates
from crates import ROOT, Crate

LICENCE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice|authors", re.IGNORECASE)
HEAD = """\
Third-party code in libarawn {version} for {target}

libarawn itself is under MIT OR Apache-2.0. It has the code of others in it: the crates that it links, Rust's standard
library, and, within the embedded runtimes, more crates, the C library wasi-libc and the interpreters QuickJS and Lua.
The sources of each crate are published for Rust's cargo under the name and version below.
"""
STANDARD_LIBRARY = """\
Rust's standard library {version}: MIT OR Apache-2.0. COPYRIGHT-rust-library.html, where the toolchain has it, names
the crates that the standard library contains.
wasi-libc: Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT; the parts of musl in it: MIT, "Copyright (c) 2005-2020
Rich Felker, et al."
"""
# The texts of Apache-2.0 WITH LLVM-exception are below: crates are under it too.
OF_PLATFORM = {
    "llvm-libunwind": "LLVM's libunwind: Apache-2.0 WITH LLVM-exception",
    "musl": 'musl: MIT, "Copyright (c) 2005-2020 Rich Felker, et al."',
}
RULE = "-" * 78


def texts(crate: Crate) -> "list[str]":
    files = sorted(path for path in crate.directory.iterdir() if path.is_file() and LICENCE.match(path.name))
    found = [path.read_text(errors="replace").strip() for path in files]
    # White space at ends of lines is all that tells many of them apart.
    return ["\n".join(line.rstrip() for line in text.splitlines()) for text in found if text]


def document(target: str, packages: "list[str]", file: Path) -> str:
    every = crates.merged(crates.linked(ROOT, packages, target), *crates.embedded().values())
    others = [crate for crate in every if not crate.is_own]
    by_text: "dict[str, list[Crate]]" = {}
    for crate in others:
        for text in texts(crate):
            by_text.setdefault(text, []).append(crate)
    (version,) = {crate.version for crate in every if crate.name == "arawn"}
    parts = [HEAD.format(version=version, target=target)]
    parts.append("".join(f"{crate.name} {crate.version}: {crate.license}\n" for crate in others))
    built = crates.toolchain(file)
    of_platform = crates.contained(target, "arawn-cli" in packages, built)
    parts.append(
        STANDARD_LIBRARY.format(version=built.rustc) + "".join(f"{OF_PLATFORM[part.name]}\n" for part in of_platform)
    )
    for text, owners in sorted(by_text.items(), key=lambda item: [crate.key for crate in item[1]]):
        names = ", ".join(f"{crate.name} {crate.version}" for crate in owners)
        parts.append(f"{RULE}\n{names}\n\n{text}\n")
    return "\n".join(parts)


def main() -> None:
    arguments = argparse.ArgumentParser(description="writes the licences of third-party code")
    arguments.add_argument("--target", required=True, help="Rust's name of the platform")
    arguments.add_argument("--package", action="append", required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("file", type=Path)
    given = arguments.parse_args()
    given.out.write_text(document(given.target, given.package, given.file))


if __name__ == "__main__":
    main()
