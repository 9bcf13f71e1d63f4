"""JSON for the library: compact, UTF-8, and what is not JSON is named with its path."""

from __future__ import annotations

import json
import math
import os
from typing import Any, Iterable, Mapping, Optional, Tuple

__all__ = ["dumps", "encode", "loads", "scan"]


def _path_text(value: Any) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else None
    if not isinstance(text, str):
        raise TypeError("not JSON")
    return text


# Made once, which `json.dumps` with arguments would do for each call. Circles end in a RecursionError.
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_path_text
).encode
# From a position: the value, and where it ends.
scan = json.JSONDecoder().raw_decode


def loads(text: str) -> Any:
    """What the library has written, which begins with the value itself."""
    return scan(text)[0]


def dumps(value: Any, path: str = "") -> str:
    """The text of a value, which stands at `path` for the messages of errors."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):
        # Only now is it looked for, so that what is JSON takes no longer.
        problem = _problem(value, path, ())
        if problem is None:
            raise
        raise problem from None


def encode(value: Any, text: str) -> bytes:
    """The text that `dumps` made of a value, as the library takes it."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        problem = _problem(value, "", ())
        if problem is None:
            raise
        raise problem from None


def _problem(value: Any, path: str, around: Tuple[int, ...]) -> Optional[Exception]:
    """What in a value is not JSON, with the path to it."""
    name = path or "the value"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return ValueError(f"{name} has half of a surrogate pair, which UTF-8 has not")
    elif isinstance(value, float) and not math.isfinite(value):
        return ValueError(f"{name} is {value}, which JSON has not")
    elif id(value) in around:
        return ValueError(f"{name} is within itself")
    elif isinstance(value, (dict, list, tuple)):
        return _problem_within(value, path, (*around, id(value)))
    elif value is not None and not isinstance(value, (int, float)):
        return TypeError(f"{name} is of type {_type_name(value)}: {_advice(value)}")
    return None


def _problem_within(value: Any, path: str, around: Tuple[int, ...]) -> Optional[Exception]:
    if isinstance(value, dict):
        for key in value:
            if key is not None and not isinstance(key, (str, int, float)):
                return TypeError(f"{path or 'the value'} has a key of type {_type_name(key)}: pass str(...)")
        parts = [(f"{path}.{key}" if path else f"{key}", item) for key, item in value.items()]
    else:
        parts = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    return next(filter(None, (_problem(item, name, around) for name, item in parts)), None)


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _advice(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "pass text, such as base64.b64encode(...).decode()"
    if isinstance(value, Mapping):
        return "pass dict(...)"
    if isinstance(value, Iterable):
        return "pass its tolist()" if hasattr(value, "tolist") and hasattr(value, "__len__") else "pass list(...)"
    # Those of numpy, for one: what counts, what measures, and what is true or false.
    if type(value).__name__.startswith("bool"):
        return "pass bool(...)"
    if hasattr(value, "__index__"):
        return "pass int(...)"
    return "pass float(...)" if hasattr(value, "__float__") else "JSON has no such thing"
