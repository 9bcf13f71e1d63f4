"""Host functions: what the library calls, by name and by where the function runs."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any, Dict, List, Optional, Set, Tuple

from . import _json, _native
from ._errors import Error, Reply, checked
from ._types import HostFunction
from ._watch import Watches, inside

__all__ = ["Places", "close", "is_coroutine_function", "set_function"]

# By name and by where the function runs, so that no function runs where another was to.
Places = Dict[Tuple[str, str], "Place"]

# Places of executors that were closed from within a host function: other threads may still be inside of theirs.
_kept: List[Places] = []


def is_coroutine_function(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


def _failure(error: BaseException) -> Reply:
    if isinstance(error, Error):
        return error.reply
    text = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
    return {"status": "error", "error": text}


def _encoded(reply: Reply) -> bytes:
    return _json.encode(reply, _json.dumps(reply))


class Place:
    """What the library calls for one name; the function in it may be replaced while the old one runs."""

    def __init__(self, executor: str) -> None:
        self.executor = executor
        self.function: Optional[HostFunction] = None
        self.callback = _native.CALLBACK(self._run)

    def _run(self, text: bytes, _user_data: Any) -> Optional[int]:
        inside.depth += 1
        # ctypes would print an exception and go on.
        try:
            reply = self._reply(_json.loads(text.decode()))
        except BaseException as error:
            reply = _encoded(_failure(error))
        finally:
            inside.depth -= 1
        if reply is None:
            return None
        pointer: Optional[int] = _native.library.arawn_string_new(reply)
        return pointer

    def _reply(self, request: Any) -> Optional[bytes]:
        return _encoded({"status": "ok", "output": self._function()(request)})

    def _function(self) -> HostFunction:
        if self.function is None:
            raise LookupError("the host function is no longer set")
        return self.function


class Deferred(Place):
    """A coroutine function, which runs as a task of the event loop and answers when it has ended."""

    def __init__(self, executor: str, watches: Watches) -> None:
        super().__init__(executor)
        self._watches = watches
        self._tasks: Set["asyncio.Task[None]"] = set()

    def _reply(self, request: Any) -> Optional[bytes]:
        function = self._function()
        loop = self._watches.loop()
        if loop is None:
            raise RuntimeError("a coroutine function needs an event loop: enter the executor by `async with`")
        if inside.loop is loop:
            self._begin(loop, function, request)
        elif threading.get_ident() == self._watches.thread(loop):
            raise RuntimeError("the event loop is blocked by a call that does not await: use `await executor.run(...)`")
        else:
            loop.call_soon_threadsafe(self._begin, loop, function, request)
        return None

    def _begin(self, loop: asyncio.AbstractEventLoop, function: HostFunction, request: Any) -> None:
        task = loop.create_task(self._answer(function, request["call"], request["request"]))
        # The loop itself keeps no task alive.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, function: HostFunction, call: Optional[str], request: Any) -> None:
        try:
            reply = {"status": "ok", "output": await function(request)}
            self._send(call, reply)
        except Exception as error:
            self._send(call, _failure(error))
        except BaseException as error:
            self._send(call, _failure(error))
            raise

    def _send(self, call: Optional[str], reply: Reply) -> None:
        # Nobody waits for the answer to a message, nor where the guest has ended meanwhile.
        if call is not None:
            head = _json.dumps({"executor": self.executor, "call": call})[:-1].encode()
            text = head + b',"reply":' + _encoded(reply) + b"}"
            _native.take(_native.library.arawn_host_reply(text))


def set_function(executor: str, places: Places, watches: Watches, name: str, on: str, function: Any) -> None:
    """Waits until no thread is inside of the old function, unless it is called from within one."""
    is_deferred = on == "loop"
    place = places.get((name, on))
    if place is None:
        place = places[name, on] = Deferred(executor, watches) if is_deferred else Place(executor)
    before, place.function = place.function, function
    callback = _native.CALLBACK() if function is None else place.callback
    request = {"executor": executor, "name": name, "on": "poll" if is_deferred else on, "deferred": is_deferred}
    text = _json.encode(request, _json.dumps(request))
    try:
        reply = checked(_json.loads(_native.take(_native.library.arawn_host_function_set(text, callback, None))))
    except Error:
        place.function = before
        raise
    if reply["output"]["running"] == 0:
        for (other, elsewhere), left in places.items():
            if other == name and elsewhere != on:
                left.function = None


def close(executor: str, places: Places, watches: Watches) -> None:
    if places and inside.depth:
        _kept.append(places)
    watches.stop()
    _native.take(_native.functions["executor_close"](_json.dumps({"executor": executor}).encode()))
