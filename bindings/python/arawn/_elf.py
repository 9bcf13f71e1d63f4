"""What a library for Linux is for: the dynamic linkers' own errors seldom say that it is for another system."""

from __future__ import annotations

import os
import platform
import struct
from typing import List, Optional

__all__ = ["misfit"]

_MACHINES = {22: "s390x", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# Kinds of segments, and tags of the dynamic one.
_LOAD, _DYNAMIC, _NEEDED, _STRINGS = 1, 2, 1, 5


def _needed(elf: bytes) -> "List[bytes]":
    """The names of the libraries that one of 64 bits needs, with the lowest byte of numbers first."""
    (table,), (size, count) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<HH", elf, 54)
    segments = [struct.unpack_from("<I4xQQ8xQ", elf, table + i * size) for i in range(count)]
    for kind, offset, _, length in segments:
        if kind == _DYNAMIC:
            entries = list(struct.iter_unpack("<QQ", elf[offset : offset + length // 16 * 16]))
            strings = dict(entries)[_STRINGS]
            # A string has an address, which is in one of the segments that are loaded.
            (start,) = [
                strings - address + offset
                for kind, offset, address, length in segments
                if kind == _LOAD and address <= strings < address + length
            ]
            names = [start + value for tag, value in entries if tag == _NEEDED]
            return [elf[name : elf.index(b"\0", name)] for name in names]
    return []


def _libc(needed: "List[bytes]") -> Optional[str]:
    if b"libc.so.6" in needed:
        return "glibc"
    return "musl" if any(name == b"libc.so" or name.startswith(b"libc.musl-") for name in needed) else None


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
        libc = _libc(_needed(elf)) if elf[4:6] == b"\2\1" else None
    except (OSError, IndexError, KeyError, ValueError, struct.error):
        return None
    of_python = "glibc" if "CS_GNU_LIBC_VERSION" in os.confstr_names else "musl"
    return f"it is for Linux with {libc}, and this Python is for {of_python}" if libc not in (None, of_python) else None
