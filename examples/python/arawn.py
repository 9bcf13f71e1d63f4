"""libarawn for Python 3.9 and newer, by ctypes: one file without dependencies, to be copied into a program.

    import arawn

    with arawn.Executor(limits={"timeout_ms": 1000}) as executor:
        print(executor.execute("passthrough", context={"greeting": "hello"}))

prints {'config': {}, 'context': {'greeting': 'hello'}}

The library is the file that the variable ARAWN_LIBRARY names, or else the installed one. Requests, replies and codes
are those of arawn.h. What `json` can turn into JSON may be passed, and paths; what is wrong raises `Error`.

Any number of threads may use one executor. Calls release the interpreter's lock while the library works, so that guests
run in parallel.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
import weakref
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar

__all__ = ["Error", "Executor", "Job", "call", "configure", "version"]

Reply = Dict[str, Any]
HostFunction = Callable[[Any], Any]
_Function = TypeVar("_Function", bound=HostFunction)
# By name and by where it runs, so that no function runs where another was to.
_Places = Dict[Tuple[str, str], "_Place"]

# It returns a pointer, which the library releases.
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_NOTHING: Mapping[str, Any] = {}
_LONGEST_WAIT_S = 86400.0
# Between slices of a wait the interpreter sees signals, such as that of Ctrl-C.
_SLICE_S = 0.1


class Error(Exception):
    """What is wrong with a call: `code` for programs, the text for people, and `details` as the header lists them."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply["error"])
        self.reply = reply
        self.code: str = reply.get("code", "runtime_error")
        self.details: Dict[str, Any] = reply.get("details", {})

    def __str__(self) -> str:
        return f"{self.code}: {self.args[0]}"

    def __reduce__(self) -> Any:
        return Error, (self.reply,)


def _load() -> ctypes.CDLL:
    installed = "libarawn.0.dylib" if sys.platform == "darwin" else "libarawn.so.0"
    try:
        # A CDLL's functions are called without the interpreter's lock.
        library = ctypes.CDLL(os.environ.get("ARAWN_LIBRARY", installed))
    except OSError as error:
        raise ImportError(f"libarawn is neither installed nor named by ARAWN_LIBRARY: {error}") from error
    # As c_char_p ctypes would turn a reply into bytes, and lose the pointer that is to be released.
    for name in (
        "configure", "executor_new", "executor_close", "execute_runtime", "submit", "poll", "cancel", "stats",
        "catalog_list", "catalog_inspect", "catalog_register", "catalog_remove", "string_new",
    ):  # fmt: skip
        function = getattr(library, f"arawn_{name}")
        function.argtypes, function.restype = [ctypes.c_char_p], ctypes.c_void_p
    library.arawn_host_function_set.argtypes = [ctypes.c_char_p, _CALLBACK, ctypes.c_void_p]
    library.arawn_host_function_set.restype = ctypes.c_void_p
    library.arawn_free.argtypes, library.arawn_free.restype = [ctypes.c_void_p], None
    library.arawn_version.argtypes, library.arawn_version.restype = [], ctypes.c_char_p
    return library


_library = _load()


def _to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=os.fspath).encode()


def _taken(pointer: int) -> Reply:
    try:
        reply: Reply = json.loads(ctypes.string_at(pointer))
    finally:
        _library.arawn_free(pointer)
    return reply


def _checked(reply: Reply) -> Reply:
    if reply["status"] != "ok":
        raise Error(reply)
    return reply


def call(function: str, request: Mapping[str, Any]) -> Reply:
    """Calls a function of the header by its name without `arawn_`; its whole reply, which for an `execute_runtime` with
    `"meta": True` has `meta`."""
    return _checked(_taken(getattr(_library, f"arawn_{function}")(_to_json(request))))


def configure(**options: Any) -> Dict[str, Any]:
    """Sets what the whole process shares, before the first executor: `arawn_configure`."""
    return call("configure", options)["output"]


def version() -> str:
    """The library's version, such as "0.1.0"."""
    return str(_library.arawn_version(), "ascii")


class _Inside(threading.local):
    depth = 0


_inside = _Inside()

# Places of executors that were closed from within a host function: other threads may still be inside of theirs.
_kept: List[_Places] = []


class _Place:
    """What the library calls for one name; the function in it may be replaced while the old one runs."""

    def __init__(self) -> None:
        self.function: Optional[HostFunction] = None
        self.callback = _CALLBACK(self._run)

    def _run(self, request: bytes, _user_data: Any) -> Optional[int]:
        _inside.depth += 1
        # ctypes would print an exception and go on.
        try:
            function = self.function
            if function is None:
                raise LookupError("the host function is no longer set")
            reply = _to_json({"status": "ok", "output": function(json.loads(request))})
        except Error as error:
            reply = _to_json(error.reply)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
            reply = _to_json({"status": "error", "error": text})
        finally:
            _inside.depth -= 1
        pointer: Optional[int] = _library.arawn_string_new(reply)
        return pointer


def _set(executor: str, places: _Places, name: str, on: str, function: Optional[HostFunction]) -> None:
    """Waits until no thread is inside of the old function, unless it is called from within one."""
    place = places.setdefault((name, on), _Place())
    before, place.function = place.function, function
    callback = _CALLBACK() if function is None else place.callback
    request = _to_json({"executor": executor, "name": name, "on": on})
    try:
        reply = _checked(_taken(_library.arawn_host_function_set(request, callback, None)))
    except Error:
        place.function = before
        raise
    other = places.get((name, "call" if on == "poll" else "poll"))
    if other is not None and reply["output"]["running"] == 0:
        other.function = None


def _close(executor: str, places: _Places) -> None:
    if places and _inside.depth:
        _kept.append(places)
    _taken(_library.arawn_executor_close(_to_json({"executor": executor})))


class Job:
    """A submitted call. One thread at a time may use it. Its reply stays with the library until `done`, `result` or
    `Executor.finished` has taken it."""

    def __init__(self, executor: Executor, name: str) -> None:
        self.name = name
        # Which is not closed, then, because nobody else has it.
        self._executor = executor
        self._reply: Optional[Reply] = None

    def __repr__(self) -> str:
        return f"<arawn.Job {self.name!r}{'' if self._reply is None else ' done'}>"

    def done(self, timeout: float = 0.0) -> bool:
        """Whether it has ended; waits for that up to `timeout` seconds."""
        until = time.monotonic() + timeout
        while self._reply is None:
            left = max(until - time.monotonic(), 0.0)
            wait_ms = int(min(left, _SLICE_S) * 1000)
            self._reply = self._executor.call("poll", job=self.name, wait_ms=wait_ms).get("reply")
            if left < 0.001:
                break
        return self._reply is not None

    def result(self, timeout: Optional[float] = None) -> Any:
        """Waits for its output, any number of times. Raises `TimeoutError` where it has not ended after `timeout`
        seconds, and `Error` where it failed or was cancelled."""
        if not self.done(float("inf") if timeout is None else timeout):
            raise TimeoutError(f"job {self.name} has not ended")
        assert self._reply is not None
        return _checked(self._reply)["output"]

    def cancel(self) -> bool:
        """Stops it: `result` then raises `Error` with the code `cancelled`. False where it has ended."""
        try:
            self._executor.cancel(self.name)
        except Error as error:
            if error.code != "unknown_job":
                raise
            return False
        return True


class Executor:
    """A catalog, limits and capabilities: what calls may do. The arguments are the keys of `arawn_executor_new`.

    It is closed at the end of a `with` block, by `close`, when it is collected, or at the end of the program."""

    def __init__(self, **config: Any) -> None:
        self.policy: Dict[str, Any] = call("executor_new", config)["output"]
        self._id: str = self.policy["executor"]
        self._places: _Places = {}
        self._jobs: "weakref.WeakValueDictionary[str, Job]" = weakref.WeakValueDictionary()
        self._finalizer = weakref.finalize(self, _close, self._id, self._places)

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def id(self) -> str:
        """Its name in the requests of the header; empty once it is closed, when another one may have the name."""
        return self._id if self._finalizer.alive else ""

    def close(self) -> None:
        """Lets calls in flight finish, and refuses later ones. When it returns no host function runs, unless it is
        called from within one."""
        self._finalizer()

    def call(self, function: str, **members: Any) -> Any:
        """Calls a function of the header whose request has `executor`, with the other members of the request; its
        output: `executor.call("catalog_inspect", name="csv")`."""
        return call(function, {"executor": self.id, **members})["output"]

    def execute(
        self,
        runtime: str,
        config: Any = _NOTHING,
        context: Any = _NOTHING,
        *,
        limits: Mapping[str, Any] = _NOTHING,
        job: Optional[str] = None,
    ) -> Any:
        """Runs a runtime and waits for its output. `job` is a name by which another thread may cancel it."""
        return call("execute_runtime", self._request(runtime, config, context, limits, job))["output"]

    def submit(
        self,
        runtime: str,
        config: Any = _NOTHING,
        context: Any = _NOTHING,
        *,
        limits: Mapping[str, Any] = _NOTHING,
        job: Optional[str] = None,
    ) -> Job:
        """Begins a call and returns at once. What is wrong with the call itself is raised by `Job.result`."""
        name: str = call("submit", self._request(runtime, config, context, limits, job))["output"]["job"]
        self._jobs[name] = handle = Job(self, name)
        return handle

    def _request(
        self, runtime: str, config: Any, context: Any, limits: Mapping[str, Any], job: Optional[str]
    ) -> Dict[str, Any]:
        given = {"config": config, "context": context}
        request = {"executor": self.id, "runtime": runtime, "limits": dict(limits)}
        request["input"] = {key: value for key, value in given.items() if value is not _NOTHING}
        return request if job is None else {**request, "job": job}

    def finished(self, timeout: float = 0.0) -> List[Job]:
        """Takes every job that has ended, or waits up to `timeout` seconds for one. For a frame loop."""
        wait_ms = int(min(timeout, _LONGEST_WAIT_S) * 1000)
        jobs = []
        for entry in self.call("poll", wait_ms=wait_ms)["finished"]:
            job = self._jobs.pop(entry["job"], None) or Job(self, entry["job"])
            job._reply = entry["reply"]
            jobs.append(job)
        return jobs

    def cancel(self, job: str) -> None:
        """Stops a call that was given a name, on whichever thread it runs."""
        self.call("cancel", job=job)

    def host_function(self, name: str, *, on: str = "call") -> Callable[[_Function], _Function]:
        """Decorates the function that guests call by a name, which `capabilities` must list under `host_functions`. It
        gets what the guest asks and returns what the guest gets; what it raises is an error for the guest. With
        `on="poll"` it runs inside `finished`, and inside `done` and `result` of jobs, while the guest waits."""

        def decorate(function: _Function) -> _Function:
            _set(self.id, self._places, name, on, function)
            return function

        return decorate

    def remove_host_function(self, name: str) -> None:
        """Unsets a function. When it returns no thread is inside of it, unless it is called from within one."""
        _set(self.id, self._places, name, "call", None)
