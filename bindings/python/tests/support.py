"""What the tests share.

ARAWN_RUNTIMES is a directory with the runtimes `loop`, that never ends, `fails`, whose error is "no luck", `ask`, that
asks the function `f` and answers its reply, and `writes`, that writes "first" and "last" to stderr."""

import os
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import arawn

HEADER = Path(__file__).resolve().parents[3] / "include/arawn.h"
RUNTIMES = Path(os.environ["ARAWN_RUNTIMES"])
# Longer than a pipeline of the tests takes on a busy machine.
LONG = {"timeout_ms": 300_000}


def executor(*functions, **config):
    capabilities = {"host_functions": list(functions)}
    return arawn.Executor(runtimes_dir=RUNTIMES, cache_dir=None, capabilities=capabilities, **config)


class Codes:
    def assert_code(self, code, function, *args, **kwargs):
        with self.assertRaises(arawn.Error) as raised:
            function(*args, **kwargs)
        self.assertEqual(raised.exception.code, code)
        return raised.exception


class Case(Codes, unittest.TestCase):
    pass


def on_another_thread(function, *args):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()


def ways(one):
    """To run a pipeline: on the main thread, on another one, and as a job."""
    return (
        one.execute_pipeline,
        lambda *args, **options: on_another_thread(lambda: one.execute_pipeline(*args, **options)),
        lambda *args, **options: one.submit_pipeline(*args, **options).result(),
    )


def steps(*those):
    return {"steps": list(those)}


def step(name, runtime="passthrough", **others):
    return {"name": name, "runtime": runtime, **others}


def picks(name, path, **others):
    return step(name, "transform", config={"expression": path}, **others)


def lua(name, script, **others):
    return step(name, "lua", config={"script": f"return function(input) {script} end"}, **others)
