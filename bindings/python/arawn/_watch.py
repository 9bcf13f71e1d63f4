"""Event loops that wait for an executor.

A loop watches a descriptor, which the library makes readable while `arawn_poll` has something to do. No timer runs, and no
thread waits. A watch has a duplicate of the library's descriptor: the library may close its own while the loop still
watches, and the watch closes the duplicate on the loop's thread.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, Callable, Dict, Optional

__all__ = ["Watch", "Watches", "inside"]


class _Inside(threading.local):
    """Of this thread: how many host functions it is inside of, and the event loop that polls."""

    depth = 0
    loop: Optional[asyncio.AbstractEventLoop] = None


inside = _Inside()


class Watch:
    """One event loop and one executor."""

    def __init__(
        self, watches: Watches, loop: asyncio.AbstractEventLoop, descriptor: int, poll: Callable[[], Any]
    ) -> None:
        self._watches = watches
        self.loop = loop
        self.thread = threading.get_ident()
        # How many futures of the loop wait for a call.
        self.waiting = 0
        self._poll = poll
        self._descriptor = os.dup(descriptor)
        self._is_reading = False

    def start(self) -> None:
        """On the loop's thread."""
        if not self._is_reading and self._descriptor >= 0:
            self.loop.add_reader(self._descriptor, self._ready)
            self._is_reading = True

    def _ready(self) -> None:
        if self.waiting == 0 and not self._watches.stays:
            # What there is belongs to others, and would wake the loop again and again.
            self._pause()
            return
        inside.loop = self.loop
        try:
            self._poll()
        finally:
            inside.loop = None

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self.loop.remove_reader(self._descriptor)

    def leave(self, _future: "asyncio.Future[None]") -> None:
        self.waiting -= 1

    def stop(self) -> None:
        """On the loop's thread, or where the loop is closed."""
        if not self.loop.is_closed():
            self._pause()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Watches:
    """The watches of one executor, one for each event loop that has waited for it."""

    def __init__(self) -> None:
        # Whether loops poll also while they wait for no call: for coroutine functions, and within `async with`.
        self.stays = False
        self._watches: Dict[asyncio.AbstractEventLoop, Watch] = {}
        self._lock = threading.Lock()

    def of(self, loop: asyncio.AbstractEventLoop) -> Optional[Watch]:
        return self._watches.get(loop)

    def loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The one in which coroutine functions run: the first that is not closed."""
        with self._lock:
            return next((loop for loop in self._watches if not loop.is_closed()), None)

    def thread(self, loop: asyncio.AbstractEventLoop) -> Optional[int]:
        watch = self._watches.get(loop)
        return None if watch is None else watch.thread

    def add(self, watch: Watch) -> None:
        with self._lock:
            closed = [loop for loop in self._watches if loop.is_closed()]
            old = [self._watches.pop(loop) for loop in closed]
            self._watches[watch.loop] = watch
        for one in old:
            one.stop()

    def stay(self) -> None:
        self.stays = True
        for watch in list(self._watches.values()):
            self._on_its_thread(watch, watch.start)

    def stop(self) -> None:
        with self._lock:
            watches = list(self._watches.values())
            self._watches.clear()
        for watch in watches:
            if not self._on_its_thread(watch, watch.stop):
                watch.stop()

    def _on_its_thread(self, watch: Watch, function: Callable[[], None]) -> bool:
        """False where the loop is closed."""
        if watch.thread == threading.get_ident() and not watch.loop.is_closed():
            function()
            return True
        try:
            watch.loop.call_soon_threadsafe(function)
        except RuntimeError:
            return False
        return True
