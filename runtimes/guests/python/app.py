"""Describes the numbers in context.numbers: how many there are, their mean, median and quartiles, and how far they spread."""

import json
import statistics
import sys

from wit_world import exports


def describe(request):
    context = request["context"]
    numbers = context.get("numbers") if isinstance(context, dict) else None
    if not isinstance(numbers, list) or any(type(number) not in (int, float) for number in numbers):
        raise TypeError("context.numbers must be a list of numbers")
    return {
        "count": len(numbers),
        "mean": statistics.mean(numbers),
        "median": statistics.median(numbers),
        "quartiles": statistics.quantiles(numbers),
        "stdev": statistics.stdev(numbers),
    }


def respond(stdin):
    try:
        reply = {"status": "ok", "output": describe(json.load(stdin))}
        return json.dumps(reply, ensure_ascii=False, allow_nan=False)
    except Exception as error:
        return json.dumps({"status": "error", "error": f"{type(error).__name__}: {error}"})


class Run(exports.Run):
    def run(self):
        sys.stdout.buffer.write(respond(sys.stdin.buffer).encode())
        # CPython is not shut down after a call, which is what would flush it.
        sys.stdout.buffer.flush()
