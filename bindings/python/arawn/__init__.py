"""libarawn for Python 3.9 and newer: sandboxed WebAssembly runtimes inside your process, by ctypes.

    import arawn

    with arawn.Executor(limits={"timeout_ms": 1000}) as executor:
        print(executor.execute("passthrough", context={"greeting": "hello"}))

prints {'config': {}, 'context': {'greeting': 'hello'}}. In a coroutine, `async with arawn.Executor() as executor` and
`await executor.run(...)` do the same without blocking the event loop.

The library is the file within this package, or the one that the variable ARAWN_LIBRARY names, or else the installed one.
Requests, replies and codes are those of arawn.h. What `json` can turn into JSON may be passed, and paths; what is wrong
raises `Error`.

Any number of threads may use one executor. Calls release the interpreter's lock while the library works, so that guests
run in parallel.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from ._errors import Error, call
from ._executor import Executor
from ._jobs import Job
from ._native import version
from ._types import (
    Capabilities,
    Deterministic,
    Directory,
    Http,
    Limits,
    Pipeline,
    Registration,
    Reload,
    Result,
    Retry,
    Step,
)

__all__ = [
    "Capabilities", "Deterministic", "Directory", "Error", "Executor", "Http", "Job", "Limits", "Pipeline", "Registration",
    "Reload", "Result", "Retry", "Step", "call", "configure", "stats", "version",
]  # fmt: skip


def configure(
    *,
    pool_slots: Optional[int] = None,
    workers: Optional[int] = None,
    queue: Optional[int] = None,
    module_cache_bytes: Optional[int] = None,
    disk_cache_bytes: Optional[int] = None,
    signal_handlers: Optional[bool] = None,
    target: Optional[str] = None,
) -> Dict[str, Any]:
    """Sets what the whole process shares, before the first executor: `arawn_configure`. Returns the options in force."""
    given = {
        "pool_slots": pool_slots,
        "workers": workers,
        "queue": queue,
        "module_cache_bytes": module_cache_bytes,
        "disk_cache_bytes": disk_cache_bytes,
        "signal_handlers": signal_handlers,
        "target": target,
    }
    in_force: Dict[str, Any] = call("configure", {key: value for key, value in given.items() if value is not None})[
        "output"
    ]
    return in_force


def stats() -> Dict[str, Any]:
    """Figures of the process: `arawn_stats`."""
    figures: Dict[str, Any] = call("stats", {})["output"]
    return figures
