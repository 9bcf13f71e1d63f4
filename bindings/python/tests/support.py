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
