"""What a library for Linux is for: the dynamic linkers' own errors seldom say that it is for another system."""

from __future__ import annotations

import os
import platform
import re
import struct
from typing import Iterator, List, Optional, Tuple

__all__ = ["misfit"]

_MACHINES = {22: "s390x", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# Kinds of segments, tags of the dynamic one, and the flag of a version that may be missing.
_LOAD, _DYNAMIC, _NEEDED, _STRINGS, _VERSIONS = 1, 2, 1, 5, 0x6FFFFFFE
_WEAK = 2


class _Elf:
    """A library of 64 bits, with the lowest byte of numbers first."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        (table,), (size, count) = struct.unpack_from("<Q", content, 32), struct.unpack_from("<HH", content, 54)
        segments = [struct.unpack_from("<I4xQQ8xQ", content, table + i * size) for i in range(count)]
        self.loaded = [segment[1:] for segment in segments if segment[0] == _LOAD]
        parts = [content[offset : offset + size // 16 * 16] for kind, offset, _, size in segments if kind == _DYNAMIC]
        self.dynamic: "List[Tuple[int, int]]" = [entry for part in parts for entry in struct.iter_unpack("<QQ", part)]

    def place(self, tag: int) -> int:
        """Where the file has a table. The table has an address, which is in one of the segments that are loaded."""
        wanted = dict(self.dynamic)[tag]
        (place,) = [wanted - at + offset for offset, at, size in self.loaded if at <= wanted < at + size]
        return int(place)

    def text(self, number: int) -> str:
        start = self.place(_STRINGS) + number
        return self.content[start : self.content.index(b"\0", start)].decode("latin-1")

    def needed(self) -> "List[str]":
        return [self.text(value) for tag, value in self.dynamic if tag == _NEEDED]

    def versions(self) -> "Iterator[str]":
        """Those of other libraries' symbols that must be there."""
        library = self.place(_VERSIONS) if _VERSIONS in dict(self.dynamic) else None
        while library is not None:
            count, first, following = struct.unpack_from("<2xH4xII", self.content, library)
            version = library + first
            for _ in range(count):
                flags, name, step = struct.unpack_from("<4xH2xII", self.content, version)
                if not flags & _WEAK:
                    yield self.text(name)
                version += step
            library = library + following if following else None


def _libc(needed: "List[str]") -> Optional[str]:
    if "libc.so.6" in needed:
        return "glibc"
    return "musl" if any(name == "libc.so" or name.startswith("libc.musl-") for name in needed) else None


def _numbers(version: str) -> "Tuple[int, ...]":
    return tuple(int(number) for number in version.split("."))


def _glibc() -> Optional[str]:
    """The version of this system's glibc. Of musl, Python knows the question too, and the system gives an error."""
    try:
        named = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        return None
    found = re.match(r"glibc (\d+(?:\.\d+)+)", named or "")
    return found[1] if found else None


def _libc_misfit(elf: _Elf) -> Optional[str]:
    libc, glibc = _libc(elf.needed()), _glibc()
    of_python = "musl" if glibc is None else "glibc"
    if libc is not None and libc != of_python:
        return f"it is for Linux with {libc}, and this Python is for {of_python}"
    if libc is None or glibc is None:
        return None
    versions = (re.fullmatch(r"GLIBC_(\d+(?:\.\d+)+)", version) for version in elf.versions())
    newest = max((found[1] for found in versions if found), key=_numbers, default="0")
    return f"it needs glibc {newest}, and this system has {glibc}" if _numbers(newest) > _numbers(glibc) else None


def misfit(path: str) -> Optional[str]:
    """Why the library at this path is not for this system, if that is the reason."""
    try:
        with open(path, "rb") as file:
            elf = file.read()
        if elf[:4] != b"\x7fELF":
            return "it is no library for Linux"
        number = int.from_bytes(elf[18:20], "big" if elf[5] == 2 else "little")
        machine = _MACHINES.get(number, f"another processor (number {number} of ELF)")
        if machine != platform.machine():
            return f"it is for {machine}, and this system is {platform.machine()}"
        return _libc_misfit(_Elf(elf)) if elf[4:6] == b"\2\1" else None
    except (OSError, IndexError, KeyError, ValueError, struct.error):
        return None
