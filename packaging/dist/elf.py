"""What a program or a library for Linux needs and exports, as `readelf` shows it for every processor.

    packaging/dist/elf.py --target TARGET --glibc 2.28 FILE

ends with an error where FILE is for another processor, or needs a newer glibc or other libraries.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# What every Linux with glibc has, of that which the library may need.
OF_GLIBC = re.compile(r"(libc|libm|libdl|librt|libpthread|libutil|ld-linux[\w-]*)\.so\.\d+")
MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64", 22: "s390x"}


@dataclass(frozen=True)
class Needs:
    libraries: "list[str]"
    # The newest versions of symbols, as numbers: (2, 28).
    glibc: "tuple[int, ...]"
    gcc: "tuple[int, ...]"


def readelf(file: Path, *options: str) -> str:
    command = ["readelf", "--wide", *options, str(file)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={"LC_ALL": "C"}).stdout


def newest(prefix: str, shown: str) -> "tuple[int, ...]":
    versions = re.findall(rf"\b{prefix}_(\d+(?:\.\d+)+)\b", shown)
    return max((tuple(map(int, version.split("."))) for version in versions), default=())


def needs(file: Path) -> Needs:
    shown = readelf(file, "--version-info")
    libraries = re.findall(r"\(NEEDED\)\s+Shared library: \[(.+?)\]", readelf(file, "--dynamic"))
    return Needs(libraries, newest("GLIBC", shown), newest("GCC", shown))


def soname(file: Path) -> str:
    return re.search(r"\(SONAME\)\s+Library soname: \[(.+?)\]", readelf(file, "--dynamic"))[1]


def exported(file: Path) -> "list[str]":
    rows = [line.split() for line in readelf(file, "--dyn-syms").splitlines()]
    return sorted(row[7].split("@")[0] for row in rows if len(row) >= 8 and row[4] == "GLOBAL" and row[6].isdecimal())


def machine(file: Path) -> "str | None":
    with file.open("rb") as opened:
        header = opened.read(20)
    # The byte after the magic numbers and the class says in which order the others are.
    order = "big" if header[5:6] == b"\2" else "little"
    return MACHINES.get(int.from_bytes(header[18:20], order)) if header[:4] == b"\x7fELF" else None


def dotted(numbers: "tuple[int, ...]") -> str:
    return ".".join(map(str, numbers))


def main() -> None:
    arguments = argparse.ArgumentParser(description="tells whether a library runs on a platform, or prints what a program needs")
    arguments.add_argument("--target", help="Rust's name of the platform")
    arguments.add_argument("--glibc", help="the oldest glibc that it must run with; left out: prints which that is")
    arguments.add_argument("file", type=Path)
    given = arguments.parse_args()
    if given.glibc is None:
        oldest = needs(given.file).glibc
        print(f"glibc {dotted(oldest)} or newer" if oldest else "nothing of the system but its kernel and its C library")
        return
    found = machine(given.file)
    if found is None or not given.target.startswith(found):
        sys.exit(f"{given.file} is for {found or 'no known processor'}, not for {given.target}")
    needed = needs(given.file)
    if needed.glibc > tuple(map(int, given.glibc.split("."))):
        sys.exit(f"{given.file} needs glibc {dotted(needed.glibc)}, and {given.glibc} is what was promised")
    others = [name for name in needed.libraries if not OF_GLIBC.fullmatch(name) and name != "libgcc_s.so.1"]
    if others:
        sys.exit(f"{given.file} needs {', '.join(others)}")


if __name__ == "__main__":
    main()
