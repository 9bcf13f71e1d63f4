"""What an executor has under way, and who gets which reply: threads that wait, event loops, frame loops."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from typing import Any, Dict, Generator, List, Optional, Tuple

from . import _json, _native
from ._errors import Error, call, closed_reply
from ._host import Places
from ._jobs import SLICE_S, Job, Taken, entries
from ._watch import Watch, Watches, inside

__all__ = ["OK", "Waits"]

OK = '{"status":"ok"'
_NONE_FINISHED = '{"status":"ok","output":{"finished":[]}}'
_poll = _native.functions["poll"]
_take = _native.take


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class Waits:
    """The jobs of an executor."""

    def __init__(self, executor: str) -> None:
        self._id = executor
        self._polling = _json.dumps({"executor": executor}).encode()
        self._places: Places = {}
        self._watches = Watches()
        self._jobs: "weakref.WeakValueDictionary[str, Job]" = weakref.WeakValueDictionary()
        # Those of `execute` and `run`, which `finished` hands out to nobody else.
        self._own: Dict[str, Job] = {}
        # What event loops have taken, and `finished` has not handed out yet.
        self._left: "weakref.WeakSet[Job]" = weakref.WeakSet()
        self._is_closed = False
        # Taken again by a handler of a signal that makes calls.
        self._lock = threading.RLock()

    def call(self, function: str, **members: Any) -> Any:
        """Calls a function of the header whose request has `executor`, with the other members of the request; its
        output: `executor.call("catalog_inspect", name="csv")`."""
        if "executor" in members:
            raise TypeError("`executor` is the one that this is called on")
        if function == "executor_close":
            raise ValueError("an executor is closed by its `close`")
        if function not in _native.functions:
            call(function, members)  # Which says so.
        request = {"executor": self._id, **members}
        return _json.loads(self._ask(function, _json.encode(request, _json.dumps(request))))["output"]

    def _ask(self, function: str, request: bytes) -> str:
        """Never by the name of one that is closed, which another one may have by now."""
        if self._is_closed:
            raise Error(closed_reply(self._id))
        text = _take(_native.functions[function](request))
        if text.startswith(OK):
            return text
        reply = _json.loads(text)
        is_closed = reply.get("code") == "unknown_executor" and self._is_closed
        raise Error(closed_reply(self._id) if is_closed else reply)

    def _begin(self, job: Job, request: bytes) -> None:
        """Submits a call of the binding's own."""
        # Under the lock, so that no other thread takes the reply before the job is known.
        with self._lock:
            self._ask("submit", request)
            self._own[job.name] = job

    def _submitted(self, request: bytes, raw: bool, meta: bool) -> Job:
        with self._lock:
            name: str = _json.loads(self._ask("submit", request))["output"]["job"]
            self._jobs[name] = job = Job(self, name, raw, meta)
        return job

    def _hand_out(self, finished: List[Tuple[str, Taken]], asked: Optional[Job] = None) -> List[Job]:
        """Gives replies to those who wait; the jobs that are not the binding's own."""
        jobs = []
        with self._lock:
            for name, taken in finished:
                own = self._own.pop(name, None)
                job = self._jobs.pop(name, None)
                job = asked or own or job or Job(self, name)
                # The text is as large as the reply again.
                job._taken = taken if job._is_raw else (taken[0], "")
                waiters, job._waiters = job._waiters, []
                for future in waiters:
                    self._wake(future)
                if own is None:
                    jobs.append(job)
        return jobs

    @staticmethod
    def _wake(future: "asyncio.Future[None]") -> None:
        loop = future.get_loop()
        if loop is inside.loop:
            _wake(future)
            return
        try:
            loop.call_soon_threadsafe(_wake, future)
        except RuntimeError:
            pass  # The loop is closed.

    def finished(self, timeout: float = 0.0) -> List[Job]:
        """Takes every job that has ended, or waits up to `timeout` seconds for one. For a frame loop. Where an event loop
        waits for calls too, jobs to which nobody has a reference are left out."""
        until = time.monotonic() + timeout
        while True:
            left = max(until - time.monotonic(), 0.0)
            request = {"executor": self._id, "wait_ms": int(min(left, SLICE_S) * 1000)}
            jobs = self._hand_out(entries(self._ask("poll", _json.dumps(request).encode())))
            with self._lock:
                jobs += [job for job in self._left if not job._was_awaited]
                self._left.clear()
            if jobs or left < 0.001:
                return jobs

    def cancel(self, job: str) -> None:
        """Stops a call that was given a name, on whichever thread it runs."""
        self.call("cancel", job=job)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> Watch:
        """The running loop's watch, which reads."""
        watch = self._watches.of(loop)
        if watch is None:
            myself = weakref.ref(self)

            def poll() -> None:
                executor = myself()
                if executor is not None:
                    executor._poll_in_loop()

            watch = Watch(self._watches, loop, self.call("poll_descriptor")["fd"], poll)
            self._watches.add(watch)
        watch.start()
        return watch

    def _poll_in_loop(self) -> None:
        text = _take(_poll(self._polling))
        # Another thread may have been faster, or have closed the executor.
        if text != _NONE_FINISHED and text.startswith(OK):
            with self._lock:
                self._left.update(self._hand_out(entries(text)))

    def _wait_for(self, job: Job) -> Generator[Any, None, None]:
        loop = asyncio.get_running_loop()
        future: "asyncio.Future[None]" = loop.create_future()
        with self._lock:
            if job._taken is not None:
                return
            if self._is_closed:
                raise Error(closed_reply(self._id))
            job._waiters.append(future)
        watch = self._watch(loop)
        watch.waiting += 1
        try:
            yield from future
        except asyncio.CancelledError:
            self._abandon(job, watch)
            raise
        finally:
            watch.waiting -= 1

    def _abandon(self, job: Job, watch: Watch) -> None:
        """Stops a job, and has the loop go on polling until its reply has come and is dropped."""
        try:
            job.cancel()
        except Error:
            return  # The executor is closed.
        with self._lock:
            if job._taken is not None:
                return
            self._own[job.name] = job
            end: "asyncio.Future[None]" = watch.loop.create_future()
            job._waiters.append(end)
        watch.waiting += 1
        end.add_done_callback(watch.leave)
