"""Pipelines: documents of steps, run as calls are: blocking, submitted, and awaited."""

from __future__ import annotations

import threading
from typing import Any, Literal, Mapping, Optional, Union, overload

from . import _json
from ._calls import Calls, call_name, raw_text
from ._jobs import Job, Own, outcome
from ._types import JsonText, Limits, Pipeline, Result

__all__ = ["Pipelines"]

_MAIN = threading.main_thread().ident
_Document = Union[Pipeline, JsonText]
_Object = Union[Mapping[str, Any], JsonText, None]


class Pipelines(Calls):
    """The ways to run a pipeline."""

    def _pipeline_request(
        self,
        pipeline: _Document,
        context: _Object,
        completed: _Object,
        limits: Optional[Limits],
        job: Optional[str],
        meta: bool,
        raw: bool,
        dry_run: bool = False,
    ) -> bytes:
        options = {"executor": self._id, "limits": limits or {}, "job": job, "meta": meta, "dry_run": dry_run}
        given = {"completed": completed, "context": context, "pipeline": pipeline}
        if not raw:
            request = {**options, **{name: value for name, value in given.items() if value is not None}}
            return _json.encode(request, _json.dumps(request))
        # All keys are there, each of them once: text that is not one value cannot add a key.
        texts = [f'"{name}":{"{}" if value is None else raw_text(value, name)}' for name, value in given.items()]
        return _json.encode(given, f"{_json.dumps(options)[:-1]},{','.join(texts)}}}")

    # fmt: off
    @overload
    def execute_pipeline(
        self, pipeline: JsonText, context: Optional[JsonText] = ..., *, completed: Optional[JsonText] = ...,
        limits: Optional[Limits] = ..., job: Optional[str] = ..., meta: Literal[False] = ..., raw: Literal[True],
        dry_run: bool = ...,
    ) -> str: ...
    @overload
    def execute_pipeline(
        self, pipeline: _Document, context: _Object = ..., *, completed: _Object = ...,
        limits: Optional[Limits] = ..., job: Optional[str] = ..., meta: Literal[True], raw: bool = ...,
        dry_run: Literal[False] = ...,
    ) -> Result: ...
    @overload
    def execute_pipeline(
        self, pipeline: _Document, context: _Object = ..., *, completed: _Object = ...,
        limits: Optional[Limits] = ..., job: Optional[str] = ..., meta: bool = ..., raw: bool = ...,
        dry_run: bool = ...,
    ) -> Any: ...
    # fmt: on
    def execute_pipeline(
        self,
        pipeline: _Document,
        context: _Object = None,
        *,
        completed: _Object = None,
        limits: Optional[Limits] = None,
        job: Optional[str] = None,
        meta: bool = False,
        raw: bool = False,
        dry_run: bool = False,
    ) -> Any:
        """Runs a pipeline, which is a document of steps, and waits for its output. Each step runs a runtime, and finds
        the outputs of the steps that it needs in its context, beside the keys of `context`.

        `completed` has outputs by the names of their steps, as of an earlier run: these steps do not run. `limits`,
        `job` and `meta` are those of `execute`. With `raw=True`, `pipeline`, `context` and `completed` are JSON text,
        and so is the output. With `dry_run=True` only the document is checked: the output lists the steps with what
        they need, and there is no meta.

        A step that fails ends the pipeline. The `details` of the `Error` then have `step`, `index` (of the item, of a
        step with `for_each`) and `completed` (the names of the steps that have ended well)."""
        if dry_run:
            request = self._pipeline_request(pipeline, context, completed, limits, job, meta, raw, True)
            return outcome(self._ask("execute_pipeline", request), raw, False)
        if threading.get_ident() != _MAIN:
            request = self._pipeline_request(pipeline, context, completed, limits, job, meta, raw)
            return outcome(self._ask("execute_pipeline", request), raw, meta)
        # As in `execute`, so that handlers of signals run meanwhile.
        own = Own(self, call_name(job), raw, meta)
        return self._attend(own, self._pipeline_request(pipeline, context, completed, limits, own.name, meta, raw))

    def submit_pipeline(
        self,
        pipeline: _Document,
        context: _Object = None,
        *,
        completed: _Object = None,
        limits: Optional[Limits] = None,
        job: Optional[str] = None,
        meta: bool = False,
        raw: bool = False,
    ) -> Job:
        """Begins a pipeline and returns at once. What is wrong with the document's shape is raised here, and everything
        else by `Job.result`, or where the job is awaited."""
        return self._submitted(self._pipeline_request(pipeline, context, completed, limits, job, meta, raw), raw, meta)

    # fmt: off
    @overload
    async def run_pipeline(
        self, pipeline: JsonText, context: Optional[JsonText] = ..., *, completed: Optional[JsonText] = ...,
        limits: Optional[Limits] = ..., job: Optional[str] = ..., meta: Literal[False] = ..., raw: Literal[True],
    ) -> str: ...
    @overload
    async def run_pipeline(
        self, pipeline: _Document, context: _Object = ..., *, completed: _Object = ...,
        limits: Optional[Limits] = ..., job: Optional[str] = ..., meta: Literal[True], raw: bool = ...,
    ) -> Result: ...
    @overload
    async def run_pipeline(
        self, pipeline: _Document, context: _Object = ..., *, completed: _Object = ...,
        limits: Optional[Limits] = ..., job: Optional[str] = ..., meta: bool = ..., raw: bool = ...,
    ) -> Any: ...
    # fmt: on
    async def run_pipeline(
        self,
        pipeline: _Document,
        context: _Object = None,
        *,
        completed: _Object = None,
        limits: Optional[Limits] = None,
        job: Optional[str] = None,
        meta: bool = False,
        raw: bool = False,
    ) -> Any:
        """`execute_pipeline` for coroutines. Where the waiting task is cancelled, so is the pipeline."""
        own = Job(self, call_name(job), raw, meta)
        self._begin(own, self._pipeline_request(pipeline, context, completed, limits, own.name, meta, raw))
        return await own
