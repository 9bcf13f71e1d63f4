"""What packaging/verify-platform checks, in this order."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Callable

from dist import elf

from . import guests
from .asking import NEW, Asking, execute, require
from .sides import ROOT, Failed, Side, is_foreign, is_musl, machine_of

JAVASCRIPT = """export default ({ context }) => ({
  numbers: context.map((n) => [n, n / 3, Math.sqrt(n * n + 2), Math.sin(n), 2 ** (n % 50), n % 7]),
  text: 'Zoë 🍵'.normalize('NFD').toUpperCase(), key: [3, 1, 2].sort().join() })"""
LUA = """return function(input)
  local sum, floats = 0, {}
  for i, n in ipairs(input.context) do sum = sum + n; floats[i] = n / 3 end
  return { sum = sum, floats = floats, text = ("%5.2f|%g|%q"):format(sum / 3, 10.5 // 3, "a\\n") }
end"""
SUM = "return function(i) local s = 0; for _, n in ipairs(i.context.square) do s = s + n end; return s end"
PIPELINE = {
    "steps": [
        {
            "name": "square",
            "runtime": "javascript",
            "for_each": "numbers",
            "config": {"script": "export default ({context}) => context.item ** 2"},
        },
        {
            "name": "sum",
            "runtime": "lua",
            "config": {"script": SUM},
        },
        {"name": "text", "runtime": "transform", "config": {"template": "{{sum}} of {{first}}"}, "needs": ["sum"]},
    ]
}


class Checks(Asking):
    def links(self) -> str:
        """It needs what its platform has, and exports what the header has."""
        library, needed = self.target.library, elf.needs(self.target.library)
        require(elf.machine(library) == machine_of(self.target.name), f"it is for {elf.machine(library)}")
        golden = (ROOT / "tests/golden/symbols.txt").read_text().split()
        size = f"{library.stat().st_size} bytes"
        differ = set(elf.exported(library)) ^ set(golden)
        require(not differ, f"it or the header has not {sorted(differ)}")
        if is_musl(self.target.name):
            require(needed.libraries == ["libc.so"] and not needed.glibc, f"it needs {needed}")
            return f"libc.so, {size}"
        others = [name for name in needed.libraries if not elf.OF_GLIBC.fullmatch(name) and name != "libgcc_s.so.1"]
        require(not others, f"it needs {others}")
        return f"glibc {elf.dotted(needed.glibc)}, {size}"

    def first_reply(self) -> str:
        """Times are told, not checked: processes with an empty cache, and with what the first has left there."""
        told = []
        for side in (self.host, self.target):
            cache = side.directory / "first"
            calls = (NEW, {"id": "v", "cache_dir": str(cache)}), execute("passthrough", context="Zoë", meta=True)
            cold, replies = side.timed(*calls)
            require(json.loads(replies[1])["meta"]["cache"] == "compiled", replies)
            warm = [side.timed(*calls) for _ in range(5)]
            require(all(json.loads(replies[1])["meta"]["cache"] == "disk" for _, replies in warm), warm)
            told.append(f"{cold:.0f} ms, {min(took for took, _ in warm):.0f} ms from the cache")
        return f"{told[1]}; here {told[0]}"

    def static_library(self) -> str:
        if not self.target.archive.exists():
            return "not tried: libarawn.a is not beside the library"
        # As gcc does by itself.
        program = self.target.link("examples/c/hello.c", *(["-lunwind"] if is_musl(self.target.name) else []))
        printed = self.target.run([*self.target.runner, str(program)])
        require(printed == '{"status":"ok","output":"Hello, Ada!"}\n', printed)
        return f"{self.target.archive.stat().st_size} bytes"

    def passthrough(self) -> None:
        documents = [[1.50, -0.0, 2**70, 1e-320, 'Zoë "🍵"\n\0\u2028'], {"b": [], "a": {"": None}}, "x" * 300_000]
        self.ok(*(execute("passthrough", index, document) for index, document in enumerate(documents)))

    def traps(self) -> None:
        # A guest that traps leaves nothing behind that the next one meets.
        calls = [call for name in guests.TRAPS for call in (execute(name), execute("passthrough"))]
        replies = self.same(*calls)
        expected = [
            "out of bounds memory",
            "`unreachable` instruction",
            "integer divide by zero",
            "call stack exhausted",
        ]
        for reply, text in zip(replies[::2], expected):
            require('"code":"trap"' in reply and text in reply, reply)
        require(all(reply.startswith('{"status":"ok"') for reply in replies[1::2]), replies)
        self.errors("exit", execute("exit"))

    def deadlines(self) -> None:
        for runtime in ("loop", "sleep"):
            self.calls(self.target, execute(runtime, limits={"timeout_ms": 3000}))
            begun = time.monotonic()
            (reply,) = self.calls(self.target, execute(runtime, limits={"timeout_ms": 700}))
            # With the process's start.
            took = time.monotonic() - begun
            error = json.loads(reply)
            require((error.get("code"), error["details"].get("phase")) == ("timeout", "run"), reply)
            require(0.7 <= took < 10, f"a deadline of 0.7 s came after {took:.1f} s")

    def fuel(self) -> None:
        self.errors("fuel_exhausted", execute("loop", limits={"fuel": 1_000_000}), deterministic={"seed": 1})

    def files(self) -> None:
        data = {"host": str(self.work / "data"), "guest": "/data", "write": True}
        granted = {"capabilities": {"dirs": [data]}}
        written = {"path": "/data/a/b.txt", "content": "hello, Zoë\n", "create_parents": True}
        self.ok(execute("file_write", written), execute("file_read", {"path": "/data/a/b.txt"}), **granted)
        require((self.work / "data/a/b.txt").read_text() == written["content"], "the file is not there")
        refused = ("/data/none", "/data/../etc/passwd", "/etc/passwd", "/data")
        self.errors("runtime_error", *(execute("file_read", {"path": path}) for path in refused), **granted)

    def register(self) -> None:
        of = {"executor": "v", "name": "twice"}
        text = {**of, "language": "lua", "script": "return function(i) return i.context * 2 end"}
        self.ok(
            ("arawn_catalog_register", text),
            execute("twice", context=21),
            ("arawn_catalog_inspect", of),
            ("arawn_catalog_list", {"executor": "v"}),
            ("arawn_catalog_remove", of),
        )
        self.errors("unknown_runtime", execute("twice"))

    def scripts(self) -> None:
        numbers = [0, 1, 2.5, -3, 1e21]
        replies = self.ok(
            execute("javascript", {"script": JAVASCRIPT}, numbers), execute("lua", {"script": LUA}, numbers)
        )
        require("Zoë".upper() not in replies[0] and '"key":"1,2,3"' in replies[0] and '"sum":' in replies[1], replies)

    def pipelines(self) -> None:
        asked = {"executor": "v", "pipeline": PIPELINE, "context": {"numbers": list(range(20)), "first": "twenty"}}
        (reply,) = self.ok(("arawn_execute_pipeline", asked))
        require(reply == '{"status":"ok","output":"2470 of twenty"}', reply)

    def threads(self) -> None:
        self.prints("done\n", "hammer", "5")

    def host_functions(self) -> None:
        self.prints("done\n", "host_functions", str(self.catalog))

    def faults_of_the_host(self) -> None:
        for mode in ("first", "last", "off"):
            self.prints("done\n", "host_faults", mode, str(self.catalog))

    def stacks_of_the_host(self) -> None:
        # musl has no coroutines of POSIX.
        for mode in ("overflow", "small") if is_musl(self.target.name) else ("overflow", "small", "coroutine"):
            self.prints("done\n", "host_stacks", mode, str(self.catalog))

    def children(self) -> None:
        self.prints("done\n", "fork")

    def cached(self, side: Side, cache: Path, **options: object) -> "tuple[str, dict]":
        """Where a new process finds the code, and its figures of the cache."""
        replies = side.calls(
            self.executor(cache),
            execute("bounds", meta=True),
            execute("transform", {"template": "{{a}}"}, {"a": 1}, meta=True),
            ("arawn_stats", {}),
            **options,
        )
        require('"code":"trap"' in replies[1] and '"output":"1"' in replies[2], replies)
        return json.loads(replies[2])["meta"]["cache"], json.loads(replies[3])["output"]["disk_cache"]

    def cache(self) -> None:
        cache = self.target.directory / "cache"
        require(self.cached(self.target, cache)[0] == "compiled", "the cache is not empty")
        found, figures = self.cached(self.target, cache)
        require(found == "disk" and figures["hits"] >= 2 and figures["rejected"] == 0, figures)

    def foreign_caches(self) -> str:
        """Code of another platform is a miss, and the guest is compiled; code of another processor under any name."""
        caches = {side: side.directory / "own" for side in (self.host, self.target)}
        for side, cache in caches.items():
            self.cached(side, cache)
        for side, other in ((self.host, self.target), (self.target, self.host)):
            (mine,), (theirs,) = (names(caches[of]) for of in (side, other))
            if mine == theirs:
                return "the same platform"
            copied, renamed = side.directory / "copied", side.directory / "renamed"
            shutil.copytree(caches[other], copied)
            found, figures = self.cached(side, copied)
            require(found == "compiled" and figures["hits"] == 0 and figures["absent"] >= 2, (found, figures))
            require(self.cached(side, copied)[0] == "disk", "what was compiled beside foreign code is not found")
            if is_foreign(self.target.name):
                renamed.mkdir(mode=0o700)
                shutil.copytree(caches[other] / theirs, renamed / mine)
                found, figures = self.cached(side, renamed)
                require(found == "compiled" and figures["hits"] == 0 and figures["rejected"] >= 2, (found, figures))
                require("another version, processor or option" in figures["last_problem"], figures)
        return "absent and rejected" if is_foreign(self.target.name) else "absent"

    def interpreted(self) -> str:
        """Code for the interpreter runs on each processor: each side finds what the other has compiled."""
        pulley = {"target": "pulley"}
        calls = (
            execute("javascript", {"script": JAVASCRIPT}, [0, 1, 2.5, -3, 1e21]),
            execute("lua", {"script": LUA}, [0, 1, 2.5, -3, 1e21]),
            *(execute(name) for name in guests.TRAPS),
            execute("loop", limits={"timeout_ms": 700}),
        )
        answers = []
        for side, other in ((self.host, self.target), (self.target, self.host)):
            cache = side.directory / "pulley"
            require(self.cached(side, cache, **pulley)[0] == "compiled", "the cache is not empty")
            answers.append(side.calls(self.executor(cache), *calls, **pulley)[1:])
        require(answers[0] == answers[1], answers)
        require('"code":"timeout"' in answers[0][-1], answers[0])
        for side, other in ((self.host, self.target), (self.target, self.host)):
            moved = side.directory / "moved"
            shutil.copytree(other.directory / "pulley", moved)
            found, figures = self.cached(side, moved, **pulley)
            require(found == "disk" and figures["hits"] >= 2 and figures["rejected"] == 0, (found, figures))
            *replies, stats = side.calls(self.executor(moved), *calls, ("arawn_stats", {}), **pulley)[1:]
            require(replies == answers[0], replies)
            figures = json.loads(stats)["output"]["disk_cache"]
            require(figures["absent"] == 0 and figures["rejected"] == 0, figures)
            if is_foreign(self.target.name):
                require(self.cached(side, moved)[0] == "compiled", "code for the interpreter is taken for the processor's")
        return "moved both ways"


def names(cache: Path) -> "list[str]":
    return [entry.name for entry in cache.iterdir() if re.fullmatch("[0-9a-f]{32}", entry.name)]


def run(host: Side, target: Side) -> None:
    checks = Checks(host, target)
    each: "list[Callable[[], str | None]]" = [
        checks.links, checks.static_library, checks.first_reply, checks.passthrough, checks.traps, checks.deadlines,
        checks.fuel, checks.files, checks.register, checks.scripts, checks.pipelines, checks.cache,
        checks.foreign_caches, checks.interpreted, checks.threads, checks.host_functions, checks.faults_of_the_host,
        checks.stacks_of_the_host, checks.children,
    ]  # fmt: skip
    for check in each:
        name, begun = check.__name__.replace("_", " "), time.monotonic()
        try:
            told = check()
        except Failed as failed:
            raise SystemExit(f"FAILED  {target.name}: {name}\n{failed}") from None
        print(f"ok  {target.name}: {name}{f' ({told})' if told else ''}, {time.monotonic() - begun:.1f} s", flush=True)
