"""Replies that are errors, as an exception; and the functions of the header by name."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from . import _json, _native

__all__ = ["Error", "Reply", "call", "checked", "closed_reply"]

Reply = Dict[str, Any]


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


def checked(reply: Reply) -> Reply:
    if reply["status"] != "ok":
        raise Error(reply)
    return reply


def call(function: str, request: Mapping[str, Any]) -> Reply:
    """Calls a function of the header by its name without `arawn_`; its whole reply, which for an `execute_runtime` with
    `"meta": True` has `meta`. It is for functions that take JSON and return JSON alone."""
    called = _native.functions.get(function)
    if called is None:
        names = ", ".join(_native.FUNCTIONS)
        raise ValueError(f"arawn_{function} does not take JSON and return JSON; these do: {names}")
    text = _json.encode(request, _json.dumps(request))
    return checked(_json.loads(_native.take(called(text))))


def closed_reply(executor: str) -> Reply:
    """What the calls of a closed executor raise."""
    text = f"the executor {_json.dumps(executor)} is closed"
    return {"status": "error", "error": text, "code": "unknown_executor", "details": {"executor": executor}}
