"""The keys of the configuration, for type checkers. The library checks them too, and its errors name the path."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, TypedDict, Union

__all__ = [
    "Capabilities", "Deterministic", "Directory", "HostFunction", "Http", "JsonText", "Limits", "Pipeline", "Registration",
    "Reload", "Result", "Retry", "Step", "StrPath",
]  # fmt: skip

StrPath = Union[str, "os.PathLike[str]"]
# A plain function or a coroutine function.
HostFunction = Callable[[Any], Any]
# What stands for a value with `raw=True`.
JsonText = Union[str, bytes, bytearray]


class Limits(TypedDict, total=False):
    """Of an executor all, of a call those up to `fuel`, which may be tighter."""

    timeout_ms: int
    memory_bytes: int
    output_bytes: int
    stderr_bytes: int
    module_bytes: int
    fuel: Optional[int]
    calls: int
    cpu_ms_per_s: Optional[int]
    memory_total_bytes: Optional[int]
    reply_bytes: int


class _Directory(TypedDict):
    host: StrPath
    guest: str


class Directory(_Directory, total=False):
    """A directory that guests may read, and change with `write`."""

    write: bool
    bytes: Optional[int]


class Http(TypedDict, total=False):
    """The servers that components may reach."""

    allow: List[str]
    allow_private: bool


class Capabilities(TypedDict, total=False):
    """What guests may reach. What is not listed is not granted."""

    dirs: List[Directory]
    env: Dict[str, str]
    http: Http
    host_functions: List[str]


class Deterministic(TypedDict, total=False):
    """The seed of random bytes, and where the clock stands."""

    seed: int
    unix_time: int


class Within(TypedDict):
    """Calls see changes on disk that are older than this."""

    within_ms: int


# "always", "never" or {"within_ms": 20}.
Reload = Union[str, Within]


class Registration(TypedDict, total=False):
    """The options of `Executor.register`: the keys of `arawn_catalog_register`, and `wasm` for a module's bytes."""

    wasm: bytes
    wasm_base64: str
    module_of: str
    script: str
    language: str
    description: str
    config_schema: Any
    args: Sequence[str]
    env: Mapping[str, str]
    snapshot: str
    warm_up: str
    shared_random: bool
    replace: bool
    timeout_ms: int


class _Retry(TypedDict):
    attempts: int


class Retry(_Retry, total=False):
    """How many tries a step has in all, and the time between two of them."""

    delay_ms: int


class _Step(TypedDict):
    name: str
    runtime: str


class Step(_Step, total=False):
    """A step of a pipeline. It waits for the step before it, or for the steps that `needs` names."""

    config: Any
    needs: Sequence[str]
    for_each: str
    first_index: int
    retry: Retry
    limits: Limits


class _Pipeline(TypedDict):
    steps: Sequence[Step]


class Pipeline(_Pipeline, total=False):
    """A document of steps. The output is that of the step that `output` names, or else of the last one."""

    output: str


class Result(NamedTuple):
    """What a call or a pipeline with `meta=True` returns: the output, and how it went, as the header lists it."""

    output: Any
    meta: Dict[str, Any]
