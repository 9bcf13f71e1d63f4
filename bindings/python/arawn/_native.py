"""The shared library by ctypes. Prototypes are set once, here; a call has nothing to look up."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Callable, Dict

from ._elf import misfit

__all__ = ["CALLBACK", "FUNCTIONS", "functions", "library", "take", "version"]

# It returns a pointer, which the library releases.
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
# What takes JSON and returns JSON, and nothing else.
FUNCTIONS = (
    "configure", "executor_new", "executor_close", "execute_runtime", "execute_pipeline", "submit", "poll", "cancel",
    "stats", "catalog_list", "catalog_inspect", "catalog_register", "catalog_remove", "host_reply", "poll_descriptor",
)  # fmt: skip


def _candidates() -> "list[str]":
    """The library within the package, the one that ARAWN_LIBRARY names, the installed one: the first that exists."""
    is_mac = sys.platform == "darwin"
    within = Path(__file__).with_name("libarawn.dylib" if is_mac else "libarawn.so")
    if within.exists():
        return [str(within)]
    named = os.environ.get("ARAWN_LIBRARY")
    return [named] if named else ["libarawn.0.dylib" if is_mac else "libarawn.so.0"]


def _load() -> ctypes.CDLL:
    (path,) = _candidates()
    try:
        # A CDLL's functions are called without the interpreter's lock.
        loaded = ctypes.CDLL(path)
    except OSError as error:
        text = "libarawn is not in this package, not named by ARAWN_LIBRARY and not installed"
        if os.path.isabs(path) or "ARAWN_LIBRARY" in os.environ:
            text = f"libarawn at {path} cannot be loaded"
            why = misfit(path) if sys.platform == "linux" else None
            text += f": {why}" if why else ""
        raise ImportError(f"{text}: {error}") from error
    # As c_char_p ctypes would turn a reply into bytes, and lose the pointer that is to be released.
    for name in (*FUNCTIONS, "string_new"):
        try:
            function = getattr(loaded, f"arawn_{name}")
        except AttributeError:
            raise ImportError(f"libarawn at {path} has no arawn_{name}: it is older than this package") from None
        function.argtypes, function.restype = [ctypes.c_char_p], ctypes.c_void_p
    loaded.arawn_host_function_set.argtypes = [ctypes.c_char_p, CALLBACK, ctypes.c_void_p]
    loaded.arawn_host_function_set.restype = ctypes.c_void_p
    loaded.arawn_free.argtypes, loaded.arawn_free.restype = [ctypes.c_void_p], None
    loaded.arawn_version.argtypes, loaded.arawn_version.restype = [], ctypes.c_char_p
    return loaded


library = _load()
functions: Dict[str, Callable[[bytes], int]] = {name: getattr(library, f"arawn_{name}") for name in FUNCTIONS}
_free = library.arawn_free
_string_at = ctypes.string_at


def take(pointer: int) -> str:
    """A reply's text. The reply is released."""
    try:
        return _string_at(pointer).decode()
    finally:
        _free(pointer)


def version() -> str:
    """The library's version, such as "0.1.0"."""
    return str(library.arawn_version(), "ascii")
