"""Calls: that block, that are submitted, and that are awaited."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any, Dict, Literal, Optional, overload

from . import _json, _native
from ._errors import Error, call
from ._jobs import SLICE_S, Job, Own, outcome
from ._types import Limits, Result
from ._waits import OK, Waits

__all__ = ["Calls", "call_name", "raw_text"]

_NOTHING: Any = object()
# Until a thread falls asleep for a reply, which costs more than a short call.
_EAGER_POLLS = 16
# So many calls of a runtime in a row, each as short as this, and the main thread runs the next one itself.
_SHORT_CALLS, _SHORT_S = 3, 0.01
_MAIN = threading.main_thread().ident
# Of how many runtimes an executor keeps what it has learned.
_RUNTIMES = 1000
# For names of calls, none of which is used twice.
_numbers = itertools.count()
_poll = _native.functions["poll"]
_take, _get_ident, _seconds = _native.take, threading.get_ident, time.perf_counter


def call_name(job: Optional[str]) -> str:
    """The name of a call of the binding's own."""
    return f"py-{next(_numbers)}" if job is None else job


def raw_text(value: Any, name: str) -> str:
    if value is _NOTHING:
        return "{}"
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError(f"with raw=True, {name} is the text of a JSON value, not {type(value).__qualname__}")
    return value


class Calls(Waits):
    """The ways to call a runtime."""

    def __init__(self, executor: str) -> None:
        super().__init__(executor)
        # How requests begin, by runtime.
        self._heads: Dict[str, str] = {}
        # How many short calls of a runtime there were in a row.
        self._short: Dict[str, int] = {}
        self._own_under_way = 0

    def _end(self) -> None:
        raise NotImplementedError

    def _request(
        self,
        runtime: str,
        config: Any,
        context: Any,
        limits: Optional[Limits],
        job: Optional[str],
        meta: bool,
        raw: bool,
    ) -> bytes:
        text = self._heads.get(runtime) or self._head(runtime)
        given = {}
        if config is not _NOTHING:
            given["config"] = config
        if context is not _NOTHING:
            given["context"] = context
        if raw:
            # With all keys before it, and each of them once, text that is not one value cannot add a key.
            rest = _json.dumps({"limits": limits or {}, "job": job, "meta": bool(meta)})[1:-1]
            texts = f'"config":{raw_text(config, "config")},"context":{raw_text(context, "context")}'
            text = f'{text},{rest},"input":{{{texts}}}}}'
            return _json.encode(given, text)
        if limits:
            text = f'{text},"limits":{_json.dumps(dict(limits), "limits")}'
        if job is not None:
            text = f'{text},"job":{_json.dumps(job, "job")}'
        if meta:
            text += ',"meta":true'
        if given:
            text = f'{text},"input":{_json.dumps(given)}'
        return _json.encode(given, text + "}")

    def _head(self, runtime: str) -> str:
        head = f'{{"executor":{_json.dumps(self._id)},"runtime":{_json.dumps(runtime, "runtime")}'
        if len(self._heads) < _RUNTIMES:
            self._heads[runtime] = head
        return head

    # fmt: off
    @overload
    def execute(
        self, runtime: str, config: Any = ..., context: Any = ..., *, limits: Optional[Limits] = ...,
        job: Optional[str] = ..., meta: Literal[False] = ..., raw: Literal[True],
    ) -> str: ...
    @overload
    def execute(
        self, runtime: str, config: Any = ..., context: Any = ..., *, limits: Optional[Limits] = ...,
        job: Optional[str] = ..., meta: Literal[True], raw: bool = ...,
    ) -> Result: ...
    @overload
    def execute(
        self, runtime: str, config: Any = ..., context: Any = ..., *, limits: Optional[Limits] = ...,
        job: Optional[str] = ..., meta: bool = ..., raw: bool = ...,
    ) -> Any: ...
    # fmt: on
    def execute(
        self,
        runtime: str,
        config: Any = _NOTHING,
        context: Any = _NOTHING,
        *,
        limits: Optional[Limits] = None,
        job: Optional[str] = None,
        meta: bool = False,
        raw: bool = False,
    ) -> Any:
        """Runs a runtime and waits for its output. `job` is a name by which another thread may cancel it.

        With `meta=True` it returns a `Result` with the output, and how the call went. With `raw=True`, `config` and
        `context` are JSON text and so is the output: they pass byte for byte.

        On other threads than the main one, the call runs on the calling thread. On the main thread handlers of signals,
        such as that of Ctrl-C, run meanwhile; where one raises, the call is cancelled. For that a worker of the library
        runs the call, and host functions as for `submit`. Once three calls of a runtime in a row have each taken less
        than 10 ms, and no host function is set, the main thread runs the next one itself, which is faster; a signal
        then waits for the end of that call."""
        if _get_ident() != _MAIN:
            request = self._request(runtime, config, context, limits, job, meta, raw)
            return outcome(self._ask("execute_runtime", request), raw, meta)
        if self._places or self._short.get(runtime, 0) < _SHORT_CALLS:
            return self._attended(runtime, config, context, limits, job, meta, raw)
        request = self._request(runtime, config, context, limits, job, meta, raw)
        began = _seconds()
        try:
            text = self._ask("execute_runtime", request)
        finally:
            if _seconds() - began > _SHORT_S:
                self._short[runtime] = 0
        return outcome(text, raw, meta)

    def _attended(
        self,
        runtime: str,
        config: Any,
        context: Any,
        limits: Optional[Limits],
        job: Optional[str],
        meta: bool,
        raw: bool,
    ) -> Any:
        own = Own(self, call_name(job), raw, meta)
        request = self._request(runtime, config, context, limits, own.name, meta, raw)
        began = _seconds()
        try:
            return self._attend(own, request)
        finally:
            is_short = _seconds() - began < _SHORT_S
            if runtime in self._short or len(self._short) < _RUNTIMES:
                self._short[runtime] = self._short.get(runtime, 0) + 1 if is_short else 0

    def _attend(self, own: Own, request: bytes) -> Any:
        """Has a worker run what is asked, and waits for it on this thread."""
        with self._lock:
            self._own_under_way += 1
        try:
            return self._wait_out(own, request)
        finally:
            with self._lock:
                self._own_under_way -= 1
                is_last = self._is_closed and self._own_under_way == 0
            if is_last:
                self._end()

    def _wait_out(self, own: Own, request: bytes) -> Any:
        polling = own._polling(0)
        try:
            self._begin(own, request)
            # A short call has ended before this thread could fall asleep and be woken up.
            for _ in range(_EAGER_POLLS):
                text = _take(_poll(polling))
                if text.startswith(OK):
                    own._take_from(text)
                if own._taken is not None:
                    break
            return own.result()
        except Error:
            raise
        except BaseException:
            self._give_up(own)
            raise
        finally:
            if own._taken is not None:
                self._own.pop(own.name, None)

    def _give_up(self, own: Own) -> None:
        """Stops it and drops its reply. Where a host function keeps it for longer, a later poll does."""
        self._own[own.name] = own
        try:
            call("cancel", {"executor": self._id, "job": own.name})
        except Error:
            pass  # It has ended, or never begun.
        try:
            own._poll(int(SLICE_S * 1000))
        except Error:
            self._own.pop(own.name, None)

    def submit(
        self,
        runtime: str,
        config: Any = _NOTHING,
        context: Any = _NOTHING,
        *,
        limits: Optional[Limits] = None,
        job: Optional[str] = None,
        meta: bool = False,
        raw: bool = False,
    ) -> Job:
        """Begins a call and returns at once. What is wrong with the call itself is raised by `Job.result`, or where the
        job is awaited."""
        return self._submitted(self._request(runtime, config, context, limits, job, meta, raw), raw, meta)

    def _submit_registration(self, entry: Dict[str, Any], job: Optional[str]) -> Job:
        request = {"executor": self._id, "register": entry}
        if job is not None:
            request["job"] = job
        return self._submitted(_json.encode(request, _json.dumps(request)), False, False)

    # fmt: off
    @overload
    async def run(
        self, runtime: str, config: Any = ..., context: Any = ..., *, limits: Optional[Limits] = ...,
        job: Optional[str] = ..., meta: Literal[False] = ..., raw: Literal[True],
    ) -> str: ...
    @overload
    async def run(
        self, runtime: str, config: Any = ..., context: Any = ..., *, limits: Optional[Limits] = ...,
        job: Optional[str] = ..., meta: Literal[True], raw: bool = ...,
    ) -> Result: ...
    @overload
    async def run(
        self, runtime: str, config: Any = ..., context: Any = ..., *, limits: Optional[Limits] = ...,
        job: Optional[str] = ..., meta: bool = ..., raw: bool = ...,
    ) -> Any: ...
    # fmt: on
    async def run(
        self,
        runtime: str,
        config: Any = _NOTHING,
        context: Any = _NOTHING,
        *,
        limits: Optional[Limits] = None,
        job: Optional[str] = None,
        meta: bool = False,
        raw: bool = False,
    ) -> Any:
        """`execute` for coroutines. Where the waiting task is cancelled, so is the call."""
        own = Job(self, call_name(job), raw, meta)
        self._begin(own, self._request(runtime, config, context, limits, own.name, meta, raw))
        return await own
