"""The calls that the compiler learns from: what hosts call most, in the forms that they call it.

    make profile

runs it twice on a library that counts how often it runs each of its branches, and keeps what the second run counted, which
finds all modules compiled: compiling one would outweigh a million calls.
"""

import json
import sys
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bindings/python"))

import arawn  # noqa: E402

WORK = ROOT / "target/profile/work"
PREBUILT = ROOT / "runtimes/prebuilt"
ORDER = json.loads((ROOT / "examples/c/document.json").read_bytes())
RECORD = {"id": 1234567, "name": 'Zoë "Z" Ångström', "tags": ["a", "b"], "price": 12.5, "ok": True, "none": None}


def repeat(executor: arawn.Executor, times: int, runtime: str, context: object, config: object = {}, **more) -> None:
    """The same request again and again, with as little of Python in between as can be."""
    request = {"executor": executor.id, "runtime": runtime, "input": {"config": config, "context": context}, **more}
    text = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    execute, free = arawn._native.library.arawn_execute_runtime, arawn._native.library.arawn_free
    for _ in range(times):
        free(execute(text))


def short_calls(executor: arawn.Executor) -> None:
    for runtime in ("passthrough", "own"):
        repeat(executor, 200_000, runtime, ["x" * 14])
        repeat(executor, 20_000, runtime, [RECORD] * 3, {"any": 1}, meta=True, limits={"timeout_ms": 5000})
    repeat(executor, 20_000, "transform", ORDER, {"mappings": {"to": "customer.name", "total": "total"}})
    threads = [Thread(target=repeat, args=(executor, 20_000, "passthrough", [RECORD])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def long_calls(executor: arawn.Executor) -> None:
    for size, times in ((1 << 12, 4_000), (1 << 16, 400), (1 << 20, 30)):
        repeat(executor, 4 * times, "passthrough", [RECORD] * (size // 100))
        repeat(executor, times, "passthrough", "long ASCII text, " * (size // 17))
        repeat(executor, times, "passthrough", list(range(size // 6)))
        repeat(executor, times, "passthrough", [[{"a\n": "\u0007é"}]] * (size // 20))


def calls_that_wait(executor: arawn.Executor) -> None:
    executor.host_function("stock.level")(lambda request: 5)
    repeat(executor, 10_000, "stock", ORDER)
    for _ in range(2_000):
        executor.execute("file_write", {"path": "/data/text", "content": "hello"})
        executor.execute("file_read", {"path": "/data/text"})
    for _ in range(20):
        for job in [executor.submit("passthrough", context=[RECORD]) for _ in range(100)]:
            job.result()


def main() -> None:
    runtimes, data = WORK / "runtimes", WORK / "data"
    for directory in (runtimes, data):
        directory.mkdir(parents=True, exist_ok=True)
    entries = {"own": "passthrough", "stock": "stock"}
    for name, module in entries.items():
        (runtimes / f"{name}.wasm").write_bytes((PREBUILT / f"{module}.wasm").read_bytes())
    (runtimes / "catalog.toml").write_text("".join(f'[runtimes.{name}]\npath = "{name}.wasm"\n' for name in entries))
    places = {"runtimes_dir": runtimes, "cache_dir": WORK / "cache"}
    with arawn.Executor(**places) as executor:
        short_calls(executor)
        long_calls(executor)
    dirs = [{"host": data, "guest": "/data", "write": True}]
    with arawn.Executor(**places, capabilities={"dirs": dirs, "host_functions": ["stock.level"]}) as executor:
        calls_that_wait(executor)
    with arawn.Executor(**places, deterministic={"seed": 1, "unix_time": 0}) as executor:
        repeat(executor, 10_000, "passthrough", [RECORD])


main()
