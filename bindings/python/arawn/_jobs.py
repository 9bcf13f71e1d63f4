"""Submitted calls: they are polled, waited for, or awaited."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Generator, List, Optional, Tuple

from . import _json, _native
from ._errors import Error, Reply, checked
from ._types import Result

if TYPE_CHECKING:
    from ._waits import Waits

__all__ = ["Job", "SLICE_S", "entries", "outcome", "polled"]

# How long a reply that another thread has taken may be on its way to whoever waits for it.
_HAND_OVER_S = 10.0
# Between slices of a wait the interpreter sees signals, such as that of Ctrl-C.
SLICE_S = 0.1
_OK = '{"status":"ok","output":'
_META = ',"meta":{'
_JOB, _REPLY = '{"job":', ',"reply":'
_FINISHED = '{"status":"ok","output":{"finished":['

# A reply, and its text for those who want JSON text.
Taken = Tuple[Reply, str]


def outcome(text: str, raw: bool, meta: bool) -> Any:
    """What a call returns, from the text of its reply: the output, its text with `raw`, both with `meta`."""
    if raw and text.startswith(_OK):
        # Within a string each quote has a backslash, so that this is the key of the reply, and the last one.
        end = text.rfind(_META) if meta else len(text) - 1
        output: Any = text[len(_OK) : end]
        return Result(output, _json.scan(text, end + len(_META) - 1)[0]) if meta else output
    reply = checked(_json.loads(text))
    return Result(reply["output"], reply["meta"]) if meta else reply["output"]


def polled(text: str) -> Optional[Taken]:
    """The reply in that of an `arawn_poll` with `job`, if the job has ended."""
    reply = checked(_json.loads(text))["output"].get("reply")
    return None if reply is None else (reply, text[text.index(_REPLY) + len(_REPLY) : -2])


def entries(text: str) -> List[Tuple[str, Taken]]:
    """What an `arawn_poll` without `job` hands out, each with its text."""
    if not text.startswith(_FINISHED):
        checked(_json.loads(text))
    found = []
    at = len(_FINISHED)
    while text.startswith(_JOB, at):
        name, at = _json.scan(text, at + len(_JOB))
        begin = at + len(_REPLY)
        reply, at = _json.scan(text, begin)
        found.append((name, (reply, text[begin:at])))
        at += len("},")
    return found


class Job:
    """A submitted call. Its reply stays with the library until `done`, `result`, `await` or `Executor.finished` has taken
    it. One thread at a time may use `done` and `result`; any number of tasks may await it."""

    __slots__ = ("__weakref__", "_executor", "_is_meta", "_is_raw", "_taken", "_waiters", "_was_awaited", "name")

    def __init__(self, executor: Waits, name: str, raw: bool = False, meta: bool = False) -> None:
        self.name = name
        # Which is not closed, then, because nobody else has it.
        self._executor = executor
        self._is_raw, self._is_meta = raw, meta
        self._taken: Optional[Taken] = None
        self._waiters: List["asyncio.Future[None]"] = []
        self._was_awaited = False

    def __repr__(self) -> str:
        return f"<arawn.Job {self.name!r}{'' if self._taken is None else ' done'}>"

    def done(self, timeout: float = 0.0) -> bool:
        """Whether it has ended; waits for that up to `timeout` seconds."""
        until = time.monotonic() + timeout
        while self._taken is None:
            left = max(until - time.monotonic(), 0.0)
            wait_ms = int(min(left, SLICE_S) * 1000)
            try:
                self._poll(wait_ms)
            except Error as error:
                if error.code != "unknown_job" or not self._handed_over():
                    raise
            if left < 0.001:
                break
        return self._taken is not None

    def _poll(self, wait_ms: int) -> None:
        self._take_from(self._executor._ask("poll", self._polling(wait_ms)))

    def _polling(self, wait_ms: int) -> bytes:
        request = {"executor": self._executor._id, "job": self.name, "wait_ms": wait_ms}
        return _json.encode(request, _json.dumps(request))

    def _take_from(self, text: str) -> None:
        taken = polled(text)
        # Where there is none, another thread may have taken it since.
        if taken is not None:
            self._executor._hand_out([(self.name, taken)], self)

    def _handed_over(self) -> bool:
        """Waits for another thread, which may have taken the reply just now."""
        until = time.monotonic() + _HAND_OVER_S
        while self._taken is None and time.monotonic() < until:
            time.sleep(0.001)
        return self._taken is not None

    def result(self, timeout: Optional[float] = None) -> Any:
        """Waits for what `Executor.execute` would return, any number of times. Raises `TimeoutError` where it has not
        ended after `timeout` seconds, and `Error` where it failed or was cancelled."""
        if self._taken is None and not self.done(float("inf") if timeout is None else timeout):
            raise TimeoutError(f"job {self.name} has not ended")
        return self._outcome()

    def _outcome(self) -> Any:
        assert self._taken is not None
        reply, text = self._taken
        if self._is_raw:
            return outcome(text, True, self._is_meta)
        output = checked(reply)["output"]
        return Result(output, reply["meta"]) if self._is_meta else output

    def __await__(self) -> Generator[Any, None, Any]:
        """Waits in the running event loop. Where the waiting task is cancelled, so is the job."""
        self._was_awaited = True
        if self._taken is None:
            yield from self._executor._wait_for(self)
        return self._outcome()

    def cancel(self) -> bool:
        """Stops it: `result` then raises `Error` with the code `cancelled`. False where it has ended."""
        try:
            self._executor.cancel(self.name)
        except Error as error:
            if error.code != "unknown_job":
                raise
            return False
        return True


class Own(Job):
    """A call of `execute` on the main thread, which ends also where its executor is closed meanwhile."""

    __slots__ = ()

    def _poll(self, wait_ms: int) -> None:
        self._take_from(_native.take(_native.functions["poll"](self._polling(wait_ms))))
