"""How long one executor's submitted calls take beside another executor that asks for all there is.

    make bench-tenants

prints the median and the 99th percentile in milliseconds. They depend on the machine and on what else it does; that each
executor is served within one turn of each other is counted in tests.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bindings/python"))

import arawn  # noqa: E402

CALLS = int(os.environ.get("ARAWN_BENCH_CALLS", "300"))


def leb(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def module(start: bytes, others: int = 0, body: bytes = b"") -> bytes:
    """A command whose functions have one local: `_start`, and so many others of one body."""
    functions = [start] + [body] * others
    code = b"".join(leb(len(one) + 4) + b"\x01\x01\x7f" + one + b"\x0b" for one in functions)
    return (
        b"\0asm\1\0\0\0"
        + section(1, b"\x01\x60\0\0")
        + section(3, leb(len(functions)) + b"\0" * len(functions))
        + section(7, b"\x01\x06_start\0\0")
        + section(10, leb(len(functions)) + code)
    )


ENDLESS = module(b"\x03\x40\x0c\0\x0b")
# local 0 = local 0 * 3 + number, often.
STEP = b"\x20\0\x41\x03\x6c\x41%c\x6a\x21\0"


def measured(executor: arawn.Executor) -> str:
    times = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        executor.submit("passthrough", {"n": 1}).result()
        times.append(1000 * (time.perf_counter() - begun))
    times.sort()
    return f"{times[len(times) // 2]:8.2f} {times[len(times) * 99 // 100]:8.2f}"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        with arawn.Executor(cache_dir=None) as own, arawn.Executor(runtimes_dir=directory, cache_dir=None) as hoarder:
            for n in range(16):
                path = Path(directory) / f"{n}.bin"
                path.write_bytes(module(b"", 400, STEP % (n + 1) * 300))
                (Path(directory) / "custom" / f"large{n}.wasm").write_bytes(path.read_bytes())
            (Path(directory) / "custom" / "endless.wasm").write_bytes(ENDLESS)
            names = ["endless"] + [f"large{n}" for n in range(16)]
            entries = (f'[runtimes.{name}]\npath = "custom/{name}.wasm"\n' for name in names)
            (Path(directory) / "catalog.toml").write_text("".join(entries))
            own.submit("passthrough").result()
            print("                                           median      p99")
            print(f"alone                                    {measured(own)}")
            jobs = [hoarder.submit("endless") for _ in range(1000)]
            print(f"beside 1,000 calls that compute endlessly {measured(own)}")
            for job in jobs:
                job.cancel()
            jobs = [hoarder.submit(f"large{n}") for n in range(16)]
            print(f"beside 16 modules of 1.2 MB that compile {measured(own)}")


main()
