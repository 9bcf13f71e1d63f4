"""libarawn for Python 3.9 and newer, by ctypes: one file without dependencies, to be copied into a program.

    import arawn

    with arawn.Executor(limits={"timeout_ms": 1000}) as executor:
        print(executor.execute("passthrough", context={"greeting": "hello"}))

prints {'config': {}, 'context': {'greeting': 'hello'}}

The library is the file that the variable ARAWN_LIBRARY names, or else the installed one. Requests, replies and codes
are those of arawn.h. What `json` can turn into JSON may be passed, and paths; what is wrong raises `Error`.

Any number of threads may use one executor. Calls release the interpreter's lock while the library works, so that guests
run in parallel. Handlers of signals, such as that of Ctrl-C, run while the main thread waits for a call, and what they
raise ends the wait.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import math
import os
import sys
import threading
import time
import weakref
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, TypeVar

__all__ = ["Error", "Executor", "Job", "call", "configure", "version"]

Reply = Dict[str, Any]
HostFunction = Callable[[Any], Any]
_Function = TypeVar("_Function", bound=HostFunction)
# By name and by where it runs, so that no function runs where another was to.
_Places = Dict[Tuple[str, str], "_Place"]

# It returns a pointer, which the library releases.
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_NOTHING: Mapping[str, Any] = {}
# How long a reply that `finished` has taken may be on its way to whoever waits for it.
_HAND_OVER_S = 10.0
# Until a thread falls asleep for a reply, which costs more than a short call.
_EAGER_POLLS = 16
# Between slices of a wait the interpreter sees signals, such as that of Ctrl-C.
_SLICE_S = 0.1
# What takes JSON and returns JSON, and nothing else.
_FUNCTIONS = (
    "configure", "executor_new", "executor_close", "execute_runtime", "submit", "poll", "cancel", "stats",
    "catalog_list", "catalog_inspect", "catalog_register", "catalog_remove", "host_reply", "poll_descriptor",
)  # fmt: skip


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
    for name in (*_FUNCTIONS, "string_new"):
        function = getattr(library, f"arawn_{name}")
        function.argtypes, function.restype = [ctypes.c_char_p], ctypes.c_void_p
    library.arawn_host_function_set.argtypes = [ctypes.c_char_p, _CALLBACK, ctypes.c_void_p]
    library.arawn_host_function_set.restype = ctypes.c_void_p
    library.arawn_free.argtypes, library.arawn_free.restype = [ctypes.c_void_p], None
    library.arawn_version.argtypes, library.arawn_version.restype = [], ctypes.c_char_p
    return library


_library = _load()
_called = {name: getattr(_library, f"arawn_{name}") for name in _FUNCTIONS}


def _path_text(value: Any) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else None
    if not isinstance(text, str):
        raise TypeError("not JSON")
    return text


def _to_json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_path_text).encode()
    except (TypeError, ValueError):
        # Only now is it looked for, so that what is JSON takes no longer.
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
        # The binding's own request has the arguments of `execute` within `input`.
        parts = [(f"{path}.{key}" if path and path != "input" else f"{key}", item) for key, item in value.items()]
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


def _text(pointer: int) -> bytes:
    try:
        return ctypes.string_at(pointer)
    finally:
        _library.arawn_free(pointer)


def _taken(pointer: int) -> Reply:
    reply: Reply = json.loads(_text(pointer))
    return reply


def _checked(reply: Reply) -> Reply:
    if reply["status"] != "ok":
        raise Error(reply)
    return reply


def call(function: str, request: Mapping[str, Any]) -> Reply:
    """Calls a function of the header by its name without `arawn_`; its whole reply, which for an `execute_runtime` with
    `"meta": True` has `meta`. It is for functions that take JSON and return JSON alone."""
    called = _called.get(function)
    if called is None:
        raise ValueError(f"arawn_{function} does not take JSON and return JSON; these do: {', '.join(_FUNCTIONS)}")
    return _checked(_taken(called(_to_json(request))))


def configure(**options: Any) -> Dict[str, Any]:
    """Sets what the whole process shares, before the first executor: `arawn_configure`."""
    in_force: Dict[str, Any] = call("configure", options)["output"]
    return in_force


def version() -> str:
    """The library's version, such as "0.1.0"."""
    return str(_library.arawn_version(), "ascii")


class _Inside(threading.local):
    depth = 0


_inside = _Inside()
# For names of calls, none of which is used twice.
_numbers = itertools.count()

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
            try:
                self._poll(wait_ms)
            except Error as error:
                if error.code != "unknown_job" or not self._handed_over():
                    raise
            if left < 0.001:
                break
        return self._reply is not None

    def _poll(self, wait_ms: int) -> None:
        self._take(self._executor.call("poll", job=self.name, wait_ms=wait_ms))

    def _take(self, polled: Dict[str, Any]) -> None:
        # Where there is none, `finished` may have taken it since.
        if "reply" in polled:
            self._reply = polled["reply"]

    def _handed_over(self) -> bool:
        """Waits for `finished` on another thread, which may have taken the reply just now."""
        until = time.monotonic() + _HAND_OVER_S
        while self._reply is None and time.monotonic() < until:
            time.sleep(0.001)
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


class _Own(Job):
    """A call of `execute` on the main thread, which ends also where its executor is closed meanwhile."""

    def _poll(self, wait_ms: int) -> None:
        request = {"executor": self._executor._id, "job": self.name, "wait_ms": wait_ms}
        self._take(call("poll", request)["output"])


class Executor:
    """A catalog, limits and capabilities: what calls may do. The arguments are the keys of `arawn_executor_new`.

    It is closed at the end of a `with` block, by `close`, when it is collected, or at the end of the program."""

    def __init__(self, **config: Any) -> None:
        self.policy: Dict[str, Any] = call("executor_new", config)["output"]
        self._id: str = self.policy["executor"]
        self._places: _Places = {}
        self._jobs: "weakref.WeakValueDictionary[str, Job]" = weakref.WeakValueDictionary()
        # Those of `execute`, which `finished` hands out to nobody else.
        self._own: Dict[str, _Own] = {}
        self._own_under_way = 0
        self._is_closed = False
        # Taken again by a handler of a signal that makes calls.
        self._lock = threading.RLock()
        self._finalizer = weakref.finalize(self, _close, self._id, self._places)

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def id(self) -> str:
        """Its name in the requests of the header; empty once it is closed, when another one may have the name."""
        return "" if self._is_closed else self._id

    def close(self) -> None:
        """Lets calls in flight finish, and refuses later ones. When it returns no host function runs, unless it is
        called from within one."""
        with self._lock:
            is_closed, self._is_closed = self._is_closed, True
            is_last = self._own_under_way == 0
        if is_last:
            self._finalizer()
        elif not is_closed:
            # The library would drop what is submitted: the last of those closes it.
            for name, _ in list(self._places):
                _set(self._id, self._places, name, "call", None)

    def call(self, function: str, **members: Any) -> Any:
        """Calls a function of the header whose request has `executor`, with the other members of the request; its
        output: `executor.call("catalog_inspect", name="csv")`."""
        if "executor" in members:
            raise TypeError("`executor` is the one that this is called on")
        if function == "executor_close":
            raise ValueError("an executor is closed by its `close`")
        return self._ask(function, {"executor": self._id, **members})

    def _ask(self, function: str, request: Dict[str, Any]) -> Any:
        """Never by the name of one that is closed, which another one may have by now."""
        if self._is_closed:
            raise self._closed()
        try:
            return call(function, request)["output"]
        except Error as error:
            if error.code == "unknown_executor" and self._is_closed:
                raise self._closed() from None
            raise

    def _closed(self) -> Error:
        text = f"the executor {json.dumps(self._id, ensure_ascii=False)} is closed"
        return Error(
            {"status": "error", "error": text, "code": "unknown_executor", "details": {"executor": self._id}}
        )

    def execute(
        self,
        runtime: str,
        config: Any = _NOTHING,
        context: Any = _NOTHING,
        *,
        limits: Mapping[str, Any] = _NOTHING,
        job: Optional[str] = None,
    ) -> Any:
        """Runs a runtime and waits for its output. `job` is a name by which another thread may cancel it.

        On the main thread handlers of signals run meanwhile; where one raises, the call is cancelled. For that a worker
        of the library runs the call, and host functions as for `submit`; called on other threads, this one does. A
        main thread that wants short calls cheaper, and no signals meanwhile, has `call("execute_runtime", …)`."""
        request = self._request(runtime, config, context, limits, job)
        if threading.get_ident() != threading.main_thread().ident:
            return self._ask("execute_runtime", request)
        own = _Own(self, request.setdefault("job", f"execute-{next(_numbers)}"))
        with self._lock:
            self._own_under_way += 1
        try:
            return self._attend(own, request)
        finally:
            with self._lock:
                self._own_under_way -= 1
                is_last = self._is_closed and self._own_under_way == 0
            if is_last:
                self._finalizer()

    def _attend(self, own: _Own, request: Dict[str, Any]) -> Any:
        polling = _to_json({"executor": self._id, "job": own.name})
        try:
            with self._lock:
                self._ask("submit", request)
                self._own[own.name] = own
            # A short call has ended before this thread could fall asleep and be woken up.
            for _ in range(_EAGER_POLLS):
                own._take(_taken(_library.arawn_poll(polling)).get("output", {}))
                if own._reply is not None:
                    break
            return own.result()
        except Error:
            raise
        except BaseException:
            self._give_up(own)
            raise
        finally:
            if own._reply is not None:
                self._own.pop(own.name, None)

    def _give_up(self, own: _Own) -> None:
        """Stops it and drops its reply. Where a host function keeps it for longer, `finished` does."""
        self._own[own.name] = own
        try:
            call("cancel", {"executor": self._id, "job": own.name})
        except Error:
            pass  # It has ended, or never begun.
        try:
            own._poll(int(_SLICE_S * 1000))
        except Error:
            self._own.pop(own.name, None)

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
        name: str = self._ask("submit", self._request(runtime, config, context, limits, job))["job"]
        self._jobs[name] = handle = Job(self, name)
        return handle

    def submit_registration(self, *, job: Optional[str] = None, **registration: Any) -> Job:
        """Begins a registration and returns at once. Its arguments are the keys of `arawn_catalog_register`:
        `executor.submit_registration(name="csv", path="csv.wasm", timeout_ms=60_000)`, or for a script
        `executor.submit_registration(name="twice", script="return …", language="lua")`. `Job.result` is what
        `call("catalog_inspect", …)` gives, and raises what is wrong with the registration."""
        request = {"executor": self._id, "register": registration}
        name: str = self._ask("submit", request if job is None else {**request, "job": job})["job"]
        self._jobs[name] = handle = Job(self, name)
        return handle

    def _request(
        self, runtime: str, config: Any, context: Any, limits: Mapping[str, Any], job: Optional[str]
    ) -> Dict[str, Any]:
        given = {"config": config, "context": context}
        request = {"executor": self._id, "runtime": runtime, "limits": dict(limits)}
        request["input"] = {key: value for key, value in given.items() if value is not _NOTHING}
        return request if job is None else {**request, "job": job}

    def finished(self, timeout: float = 0.0) -> List[Job]:
        """Takes every job that has ended, or waits up to `timeout` seconds for one. For a frame loop."""
        until = time.monotonic() + timeout
        jobs: List[Job] = []
        while True:
            left = max(until - time.monotonic(), 0.0)
            polled = self.call("poll", wait_ms=int(min(left, _SLICE_S) * 1000))
            with self._lock:
                for entry in polled["finished"]:
                    own = self._own.pop(entry["job"], None)
                    job = own or self._jobs.pop(entry["job"], None) or Job(self, entry["job"])
                    job._reply = entry["reply"]
                    if own is None:
                        jobs.append(job)
            if jobs or left < 0.001:
                return jobs

    def cancel(self, job: str) -> None:
        """Stops a call that was given a name, on whichever thread it runs."""
        self.call("cancel", job=job)

    def host_function(self, name: str, *, on: str = "call") -> Callable[[_Function], _Function]:
        """Decorates the function that guests call by a name, which `capabilities` must list under `host_functions`. It
        gets what the guest asks and returns what the guest gets; what it raises is an error for the guest. With
        `on="poll"` it runs inside `finished`, inside `done` and `result` of jobs, and inside `execute` of the main
        thread, while the guest waits; a guest in an `execute` of another thread waits for one of those."""

        def decorate(function: _Function) -> _Function:
            self._set_host_function(name, on, function)
            return function

        return decorate

    def remove_host_function(self, name: str) -> None:
        """Unsets a function. When it returns no thread is inside of it, unless it is called from within one."""
        self._set_host_function(name, "call", None)

    def _set_host_function(self, name: str, on: str, function: Optional[HostFunction]) -> None:
        if self._is_closed:
            raise self._closed()
        _set(self._id, self._places, name, on, function)
