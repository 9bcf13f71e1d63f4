"""What a program or a library for Linux needs and exports, as `readelf` shows it for every processor.

    packaging/dist/elf.py --target TARGET --glibc 2.28 FILE

ends with an error where FILE, a library, is for another processor, or needs a newer glibc or other libraries. For musl, --glibc
is left out, and the library may need libc.so alone.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# What every Linux with glibc has, of that which the library may need.
OF_GLIBC = re.compile(r"(libc|libm|libdl|librt|libpthread|libutil|ld-linux[\w-]*)\.so\.\d+")
OF_MUSL = re.compile(r"libc\.so|libc\.musl-\w+\.so\.1")
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


def described(needed: Needs) -> str:
    if needed.glibc:
        return f"glibc {dotted(needed.glibc)} or newer"
    if needed.libraries:
        return ", ".join(needed.libraries)
    return "nothing of the system but its kernel"


def problem(file: Path, target: str, glibc: "tuple[int, ...]") -> "str | None":
    """Why a library does not run on each system of a platform from that glibc on. musl promises no version of glibc's."""
    return of_another_processor(file, target) or of_other_libraries(file, target, glibc)


def of_another_processor(file: Path, target: str) -> "str | None":
    found = machine(file)
    if found is None or not target.startswith(found):
        return f"{file} is for {found or 'no known processor'}, not for {target}"
    return None


def of_other_libraries(file: Path, target: str, glibc: "tuple[int, ...]") -> "str | None":
    needed = needs(file)
    if target.endswith("-musl"):
        if needed.glibc:
            return f"{file} needs glibc {dotted(needed.glibc)}, not musl"
        others = [name for name in needed.libraries if not OF_MUSL.fullmatch(name)]
    else:
        if needed.glibc > glibc:
            return f"{file} needs glibc {dotted(needed.glibc)}, and {dotted(glibc)} is what was promised"
        others = [name for name in needed.libraries if not OF_GLIBC.fullmatch(name) and name != "libgcc_s.so.1"]
    return f"{file} needs {', '.join(others)}" if others else None


def version(text: str) -> "tuple[int, ...]":
    return tuple(map(int, text.split(".")))


def main() -> None:
    arguments = argparse.ArgumentParser(description="tells whether a file runs on a platform, or prints what a program needs")
    arguments.add_argument("--target", help="Rust's name of the platform; left out: prints what the file needs of a system")
    arguments.add_argument("--glibc", type=version, default=(), help="the oldest glibc that a library must run with, unless it is for musl")
    arguments.add_argument("--program", action="store_true", help="a program: it is for the processor, and may need any library")
    arguments.add_argument("--text", help="what must be in the file, such as its version")
    arguments.add_argument("file", type=Path)
    given = arguments.parse_args()
    if given.target is None:
        print(described(needs(given.file)))
        return
    if not (given.glibc or given.program or given.target.endswith("-musl")):
        arguments.error("a library for glibc takes --glibc")
    why = of_another_processor(given.file, given.target)
    if given.text and given.text.encode() not in given.file.read_bytes():
        why = why or f"{given.file} has no {given.text} in it: it is of another version"
    if not given.program:
        why = why or of_other_libraries(given.file, given.target, given.glibc)
    if why:
        sys.exit(why)


if __name__ == "__main__":
    main()
