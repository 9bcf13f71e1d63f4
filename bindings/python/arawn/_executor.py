"""Executors: their configuration, their end and their host functions."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, Callable, Dict, Optional, Tuple, Type, TypeVar

from . import _host, _json
from ._catalog import Catalog
from ._errors import Error, call, closed_reply
from ._pipelines import Pipelines
from ._types import Capabilities, Deterministic, HostFunction, Limits, Reload, StrPath

__all__ = ["Executor"]

_Function = TypeVar("_Function", bound=HostFunction)
_Self = TypeVar("_Self", bound="Executor")

_NOTHING: Any = object()


def _rebuilt(kind: Type[_Self], config: Dict[str, Any]) -> _Self:
    return kind(**config)


class Executor(Pipelines, Catalog):
    """A catalog, limits and capabilities: what calls may do. The arguments are the keys of `arawn_executor_new`.

    It is closed at the end of a `with` or `async with` block, by `close` or `aclose`, when it is collected, or at the end
    of the program. Any number of threads and event loops may use one executor. It pickles as its configuration, without
    host functions."""

    def __init__(
        self,
        *,
        id: str = _NOTHING,
        runtimes_dir: Optional[StrPath] = _NOTHING,
        cache_dir: Optional[StrPath] = _NOTHING,
        limits: Limits = _NOTHING,
        reload: Reload = _NOTHING,
        capabilities: Capabilities = _NOTHING,
        stderr_to: Optional[str] = _NOTHING,
        deterministic: Optional[Deterministic] = _NOTHING,
    ) -> None:
        given = {
            "id": id,
            "runtimes_dir": runtimes_dir,
            "cache_dir": cache_dir,
            "limits": limits,
            "reload": reload,
            "capabilities": capabilities,
            "stderr_to": stderr_to,
            "deterministic": deterministic,
        }
        self._config = {key: value for key, value in given.items() if value is not _NOTHING}
        self.policy: Dict[str, Any] = call("executor_new", self._config)["output"]
        super().__init__(self.policy["executor"])
        self._finalizer = weakref.finalize(self, _host.close, self._id, self._places, self._watches)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    async def __aenter__(self: _Self) -> _Self:
        self._watch(asyncio.get_running_loop())
        self._watches.stay()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    def __reduce__(self) -> Tuple[Any, ...]:
        return _rebuilt, (type(self), self._config)

    @property
    def id(self) -> str:
        """Its name in the requests of the header; empty once it is closed, when another one may have the name."""
        return "" if self._is_closed else self._id

    def close(self) -> None:
        """Lets calls of `execute` finish, and refuses later ones. Calls that are awaited fail. When it returns no host
        function runs, unless it is called from within one."""
        with self._lock:
            is_closed, self._is_closed = self._is_closed, True
            is_last = self._own_under_way == 0
            awaited = [job for job in (*self._jobs.values(), *self._own.values()) if job._waiters]
        if is_last:
            self._end()
        elif not is_closed:
            self._watches.stop()
            # The library would drop what is submitted: the last of those closes it.
            for name, _ in list(self._places):
                _host.set_function(self._id, self._places, self._watches, name, "call", None)
        reply = closed_reply(self._id)
        self._hand_out([(job.name, (reply, _json.dumps(reply))) for job in awaited])

    def _end(self) -> None:
        self._finalizer()

    async def aclose(self) -> None:
        """`close`, without blocking the event loop."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def host_function(self, name: str, *, on: str = "call") -> Callable[[_Function], _Function]:
        """Decorates the function that guests call by a name, which `capabilities` must list under `host_functions`. It
        gets what the guest asks and returns what the guest gets; what it raises is an error for the guest.

        - A plain function runs on the thread that runs the call, several at once.
        - With `on="poll"` it runs inside `finished`, inside `done` and `result` of jobs, inside `execute` of the main
          thread, and in the event loop of a coroutine that awaits a call, while the guest waits. A guest in an `execute`
          of another thread waits for one of those.
        - A coroutine function runs as a task of the event loop, while the guest waits and no thread does. Enter the
          executor by `async with`, or set the function or await a call within the loop. `on` says nothing then."""
        if on not in ("call", "poll"):
            raise ValueError(f'`on` is "call" or "poll", not {on!r}')

        def decorate(function: _Function) -> _Function:
            self._set_host_function(name, on, function)
            return function

        return decorate

    def remove_host_function(self, name: str) -> None:
        """Unsets a function. When it returns no thread is inside of it, unless it is called from within one."""
        self._set_host_function(name, "call", None)

    def _set_host_function(self, name: str, on: str, function: Optional[HostFunction]) -> None:
        if self._is_closed:
            raise Error(closed_reply(self._id))
        is_coroutine_function = _host.is_coroutine_function(function)
        where = "loop" if is_coroutine_function else on
        _host.set_function(self._id, self._places, self._watches, name, where, function)
        if is_coroutine_function:
            try:
                self._watch(asyncio.get_running_loop())
            except RuntimeError:
                pass  # No loop runs here: the first one that waits for a call will do.
            self._watches.stay()
