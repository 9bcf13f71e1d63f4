"""For each line on stdin: medians of so many calls in microseconds, and how many a second when 64 are awaited at once."""

import asyncio
import json
import statistics
import sys
import time

import arawn

CONTEXT = {"name": "Ada", "count": 3}


def execute(executor: arawn.Executor, calls: int) -> float:
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        executor.execute("passthrough", {}, CONTEXT)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6


async def awaited(executor: arawn.Executor, calls: int) -> float:
    async def some() -> None:
        for _ in range(calls // 64 + 1):
            await executor.run("passthrough", {}, CONTEXT)

    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(64)))
    return 64 * (calls // 64 + 1) / (time.perf_counter() - begun)


with arawn.Executor() as bench:
    for line in sys.stdin:
        row = {"execute": execute(bench, int(line)), "awaited, 64 at once": asyncio.run(awaited(bench, int(line)))}
        print(json.dumps(row), flush=True)
