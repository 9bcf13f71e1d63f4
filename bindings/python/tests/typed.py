"""What type checkers know of the package: mypy --strict checks this file, and nobody runs it."""

from typing import List

import arawn

limits: arawn.Limits = {"timeout_ms": 50}
directory: arawn.Directory = {"host": "data", "guest": "/data"}
each: arawn.Step = {"name": "each", "runtime": "csv", "for_each": "list", "retry": {"attempts": 3}, "limits": limits}
pipeline: arawn.Pipeline = {"steps": [each], "output": "each"}


def calls(executor: arawn.Executor) -> List[str]:
    text: str = executor.execute("csv", raw=True, limits=limits)
    result: arawn.Result = executor.execute("csv", meta=True)
    job: arawn.Job = executor.submit("csv")
    executor.execute("csv", limits={"timeout": 50})  # type: ignore[call-overload]
    executor.execute("csv", contxt={})  # type: ignore[call-overload]
    executor.register("csv", "csv.wasm", replace=True, args=["-v"])
    executor.register("csv", "csv.wasm", replaces=True)  # type: ignore[call-arg]
    return [text, result.meta["runtime"], job.name]


def pipelines(executor: arawn.Executor) -> List[str]:
    text: str = executor.execute_pipeline('{"steps":[]}', raw=True, limits=limits)
    result: arawn.Result = executor.execute_pipeline(pipeline, {"list": []}, meta=True)
    job: arawn.Job = executor.submit_pipeline(pipeline, completed={"each": []})
    executor.execute_pipeline({"steps": [], "outputs": "each"})  # type: ignore[call-overload]
    executor.execute_pipeline({"steps": [{"name": "each"}]})  # type: ignore[call-overload]
    executor.execute_pipeline(pipeline, contxt={})  # type: ignore[call-overload]
    executor.submit_pipeline(pipeline, dry_run=True)  # type: ignore[call-arg]
    return [text, result.meta["total_us"], job.name]


async def awaited(executor: arawn.Executor) -> str:
    async with arawn.Executor(capabilities={"dirs": [directory], "http": {"allow": []}}) as other:

        @other.host_function("f")
        async def f(request: str) -> int:
            return len(request)

        length: int = await f("")
        text: str = await executor.run("csv", raw=True)
        result: arawn.Result = await other.run("csv", meta=True)
        text += await executor.run_pipeline("{}", raw=True)
        result = await other.run_pipeline(pipeline, meta=True)
        return f"{text} {result.meta['runtime']} {await other.submit('csv')} {length}"


def refused(error: arawn.Error) -> str:
    return f"{error.code} at {error.details['path']}"
