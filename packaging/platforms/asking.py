"""How packaging/verify-platform asks both sides the same."""

import json
import shutil
from pathlib import Path
from typing import List

from . import guests
from .sides import Failed, Side

EXECUTE, NEW = "arawn_execute_runtime", "arawn_executor_new"


def require(condition: object, what: object) -> None:
    if not condition:
        raise Failed(str(what))


def execute(runtime: str, config: object = None, context: object = None, **more: object) -> "tuple[str, object]":
    given = {"config": {} if config is None else config, "context": {} if context is None else context}
    return EXECUTE, {"executor": "v", "runtime": runtime, "input": given, **more}


class Asking:
    def __init__(self, host: Side, target: Side):
        self.host, self.target, self.work = host, target, host.directory.parent
        self.catalog = self.work / "runtimes"
        guests.write(self.catalog)

    def executor(self, cache: Path, **more: object) -> "tuple[str, object]":
        # An emulated compiler takes minutes for the interpreter of JavaScript.
        limits = {"timeout_ms": 600_000}
        return NEW, {"id": "v", "runtimes_dir": str(self.catalog), "cache_dir": str(cache), "limits": limits, **more}

    def calls(self, side: Side, *calls: "tuple[str, object]", **executor: object) -> "list[str]":
        """The replies of a new process with an executor. What earlier ones have compiled is not compiled again."""
        made, *replies = side.calls(self.executor(side.directory / "code", **executor), *calls)
        require(made.startswith('{"status":"ok"'), made)
        return replies

    def same(self, *calls: "tuple[str, object]", **executor: object) -> "list[str]":
        """The replies to calls, which are those of this system to the byte. What calls leave behind is removed."""
        left = self.work / "data"
        answers: "List[List[str]]" = []
        for side in (self.host, self.target):
            shutil.rmtree(left, ignore_errors=True)
            left.mkdir()
            kept = self.work / "kept"
            shutil.copytree(self.catalog, kept)
            answers.append(self.calls(side, *calls, **executor))
            shutil.rmtree(self.catalog)
            kept.rename(self.catalog)
        for call, expected, answered in zip(calls, *answers):
            require(expected == answered, f"{call}\nhost:   {expected}\ntarget: {answered}")
        return answers[1]

    def ok(self, *calls: "tuple[str, object]", **executor: object) -> "list[str]":
        replies = self.same(*calls, **executor)
        for call, reply in zip(calls, replies):
            require(reply.startswith('{"status":"ok"'), f"{call}\n{reply}")
        return replies

    def errors(self, code: str, *calls: "tuple[str, object]", **executor: object) -> None:
        for call, reply in zip(calls, self.same(*calls, **executor)):
            require(json.loads(reply).get("code") == code, f"{call} is not {code}\n{reply}")

    def prints(self, expected: str, *words: str) -> None:
        printed = self.target.program(*words)
        require(printed == expected, f"{words} printed {printed!r}, not {expected!r}")
