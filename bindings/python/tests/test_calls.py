"""Calls that block, errors, the catalog and the end of executors."""

import datetime
import fractions
import gc
import inspect
import pickle
import queue
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import arawn
from support import HEADER, RUNTIMES, Case, executor, on_another_thread

try:
    import numpy
except ImportError:
    numpy = None


class Stderr(Case):
    def test_lines_are_told_before_the_reply(self):
        for on in "call", "poll":
            told = queue.SimpleQueue()
            with executor("f", stderr_to="f") as one:
                self.assertEqual(one.policy["stderr_to"], "f")
                one.host_function("f", on=on)(told.put)
                job = one.submit("writes")
                self.assertEqual(job.result(), 1)
                lines = [told.get(timeout=0 if on == "poll" else 60) for _ in range(2)]
            self.assertEqual(
                lines, [{"runtime": "writes", "job": job.name, "line": line} for line in ("first", "last")]
            )
        self.assert_code("invalid_config", executor, "f", stderr_to="g")
        with self.assertRaisesRegex(TypeError, "stderr_too"):
            executor("f", stderr_too="f")


class Calls(Case):
    def test_values_go_in_and_come_out(self):
        with executor() as one:
            config = {"text": 'Zoë "🍵"\n\0', "n": 2**70, "x": [1.5, None, True, {}]}
            self.assertEqual(one.execute("passthrough", config, [1]), {"config": config, "context": [1]})
            self.assertEqual(one.execute("passthrough"), {"config": {}, "context": {}})
            self.assertEqual(one.execute("passthrough", None, 0), {"config": None, "context": 0})
            self.assertEqual(one.execute("passthrough", context=RUNTIMES)["context"], str(RUNTIMES))
            reply = arawn.call("execute_runtime", {"executor": one.id, "runtime": "passthrough", "meta": True})
            self.assertEqual(reply["meta"]["runtime"], "passthrough")
            for value in (float("nan"), object()):
                with self.assertRaises((ValueError, TypeError)):
                    one.execute("passthrough", value)

    def test_what_is_not_json_is_named_with_its_path(self):
        class Count:
            def __index__(self):
                return 1

        within = []
        within.append({"deep": within})
        cases = [
            ({"n": Count()}, TypeError, f"context.n is of type {__name__}.{Count.__qualname__}: pass int(...)"),
            ({"a": [0, b"x"]}, TypeError, "context.a[1] is of type bytes: pass text, such as base64.b64encode"),
            ({"a": {1, 2}}, TypeError, "context.a is of type set: pass list(...)"),
            ({"f": fractions.Fraction(1, 3)}, TypeError, "context.f is of type fractions.Fraction: pass float(...)"),
            ({"d": datetime.date.today()}, TypeError, "context.d is of type datetime.date: JSON has no such thing"),
            ([{"x": float("nan")}], ValueError, "context[0].x is nan, which JSON has not"),
            ({"x": {(1, 2): 3}}, TypeError, "context.x has a key of type tuple: pass str(...)"),
            ({"x": "\ud800"}, ValueError, "context.x has half of a surrogate pair"),
            (within, ValueError, "context[0].deep is within itself"),
            (Count(), TypeError, f"context is of type {__name__}.{Count.__qualname__}"),
        ]
        if numpy is not None:
            cases += [
                ({"n": numpy.int64(1)}, TypeError, "context.n is of type numpy.int64: pass int(...)"),
                ({"n": numpy.float32(1)}, TypeError, "context.n is of type numpy.float32: pass float(...)"),
                ({"n": numpy.array([1])}, TypeError, "context.n is of type numpy.ndarray: pass its tolist()"),
            ]
        with executor("f") as one:
            for value, kind, text in cases:
                for function in (one.execute, one.submit):
                    with self.assertRaises(kind) as raised:
                        function("passthrough", context=value)
                    self.assertTrue(str(raised.exception).startswith(text), str(raised.exception))
            one.host_function("f")(lambda request: {"n": Count()})
            self.assertIn("output.n is of type", one.execute("ask")["error"])
            with self.assertRaisesRegex(TypeError, "^limits.timeout_ms is of type "):
                one.execute("passthrough", limits={"timeout_ms": Count()})

    def test_only_what_takes_and_returns_json_is_called_by_name(self):
        declared = re.findall(r"^char \*arawn_(\w+)\(const char \*\w+\);$", HEADER.read_text(), re.MULTILINE)
        self.assertEqual(sorted(arawn._native.FUNCTIONS), sorted(set(declared) - {"string_new"}))
        for name in ("free", "string_new", "version", "host_function_set", "nothing"):
            with self.assertRaisesRegex(ValueError, f"^arawn_{name} does not take JSON and return JSON; these do: "):
                arawn.call(name, {})
        with executor() as one, executor() as other:
            with self.assertRaisesRegex(TypeError, "executor"):
                one.call("stats", executor=other.id)
            with self.assertRaisesRegex(ValueError, "close"):
                one.call("executor_close")
            self.assertEqual(one.execute("passthrough", context=1)["context"], 1)

    def test_unknown_options_are_refused_with_the_known_ones(self):
        with executor() as one:
            for wrong in ({"contxt": {}}, {"limit": {"timeout_ms": 1}}):
                for function in (one.execute, one.submit):
                    with self.assertRaisesRegex(TypeError, next(iter(wrong))):
                        function("passthrough", **wrong)
            for limits in ({"timeout": 1}, {"timeout_mss": 1}):
                error = self.assert_code("invalid_request", one.execute, "passthrough", limits=limits)
                self.assertTrue(next(iter(limits)) in str(error) and "timeout_ms" in str(error), str(error))
        for wrong in (
            lambda: arawn.Executor(limit={}),
            lambda: arawn.configure(worker=1),
            lambda: executor().register("copy", "a.wasm", replaces=True),
            lambda: executor().submit_registration("copy", "a.wasm", replaces=True),
            lambda: executor().register("copy"),
            lambda: executor().register("copy", "a.wasm", script="return"),
        ):
            with self.assertRaises(TypeError):
                wrong()
        with self.assertRaisesRegex(ValueError, "polll"):
            executor("f").host_function("f", on="polll")
        error = self.assert_code("invalid_config", arawn.Executor, capabilities={"host_function": []})
        self.assertEqual(error.details, {"path": "capabilities.host_function"})

    def test_errors_have_code_text_and_details(self):
        with executor(limits={"timeout_ms": 60000}) as one:
            error = self.assert_code("runtime_error", one.execute, "fails")
            self.assertEqual(str(error), "runtime_error: no luck")
            self.assertEqual(error.details, {"stderr": ""})
            copy = pickle.loads(pickle.dumps(error))
            self.assertEqual((copy.code, str(copy), copy.details), (error.code, str(error), error.details))
            error = self.assert_code("timeout", one.execute, "loop", limits={"timeout_ms": 50})
            self.assertEqual(error.details["timeout_ms"], 50)
            self.assert_code("invalid_request", one.execute, "loop", limits={"timeout": 50})
            self.assert_code("unknown_runtime", one.execute, "nobody")
        self.assert_code("unknown_executor", one.execute, "passthrough")

    def test_the_catalog_and_figures(self):
        with executor() as one:
            self.assertIn("loop", [runtime["name"] for runtime in one.call("catalog_list")["runtimes"]])
            self.assertEqual(one.call("catalog_inspect", name="loop")["name"], "loop")
            one.call("catalog_register", name="copy", path=RUNTIMES / "custom/fails.wasm")
            self.assert_code("runtime_error", one.execute, "copy")
            one.call("catalog_remove", name="copy")
            self.assert_code("unknown_runtime", one.execute, "copy")
            self.assertEqual(one.call("stats")["executor"]["executor"], one.id)
            self.assertGreaterEqual(arawn.call("stats", {})["output"]["executors"], 1)
        self.assert_code("invalid_config", arawn.configure, workers=2)
        self.assertRegex(arawn.version(), r"^\d+\.\d+\.\d+$")

    def test_a_registration_is_submitted(self):
        with executor() as one:
            entry = {"name": "copy", "path": RUNTIMES / "custom/fails.wasm", "timeout_ms": 300_000}
            job = one.submit_registration(**entry, job="r-1")
            self.assertEqual((job.name, job.result()["name"]), ("r-1", "copy"))
            self.assert_code("runtime_error", one.execute, "copy")
            self.assert_code("runtime_exists", one.submit_registration(**entry).result)
            entry["timeout_ms"] = 0
            error = self.assert_code("invalid_request", one.submit_registration, **entry)
            self.assertEqual(error.details, {"path": "register.timeout_ms"})
            one.call("catalog_remove", name="copy")

    def test_a_script_is_registered(self):
        with executor() as one:
            lua = {"name": "twice", "language": "lua", "replace": True}
            shown = one.call("catalog_register", **lua, script="return function(i) return i.context.n * 2 end")
            self.assertEqual((shown["kind"], shown["language"]), ("script", "lua"))
            self.assertEqual(one.execute("twice", context={"n": 21}), 42)
            error = self.assert_code(
                "script_invalid", one.call, "catalog_register", **lua, script="return\n  function("
            )
            self.assertEqual((error.details["file"], error.details["line"]), ("twice.lua", 2))
            self.assertEqual(one.execute("twice", context={"n": 4}), 8)
            js = {"name": "twice", "language": "javascript", "replace": True}
            job = one.submit_registration(**js, script="export default ({ context }) => context.n + context.n")
            self.assertEqual(job.result()["language"], "javascript")
            self.assertEqual(one.execute("twice", context={"n": 1}), 2)
            one.call("catalog_remove", name="twice")

    def test_an_executor_closes_itself(self):
        with executor(id="named") as one:
            self.assertEqual((one.id, one.policy["limits"]["timeout_ms"]), ("named", 30000))
            self.assert_code("executor_exists", executor, id="named")
        one.close()
        closed = one
        one = executor("f", id="named")
        job = arawn.Job(closed, "job")
        for use in (
            lambda: closed.execute("passthrough"),
            lambda: on_another_thread(closed.execute, "passthrough"),
            lambda: closed.submit("passthrough"),
            lambda: closed.finished(),
            lambda: closed.cancel("job"),
            lambda: closed.call("catalog_list"),
            lambda: closed.host_function("f")(print),
            lambda: closed.remove_host_function("f"),
            job.result,
            job.cancel,
        ):
            error = self.assert_code("unknown_executor", use)
            self.assertEqual(str(error), 'unknown_executor: the executor "named" is closed')
            self.assertEqual(error.details, {"executor": "named"})
        closed.close()
        one.host_function("f")(lambda request: 1)
        self.assertEqual(one.execute("ask")["output"], 1)
        del one
        gc.collect()
        with self.assertRaises(RuntimeError), executor(id="named"):
            raise RuntimeError
        executor(id="named").close()

    def test_the_end_of_the_program_closes_what_is_open(self):
        program = """if True:
            import arawn, os, time
            runtimes = os.environ["ARAWN_RUNTIMES"]
            one = arawn.Executor(runtimes_dir=runtimes, cache_dir=None, capabilities={"host_functions": ["f"]})
            one.host_function("f")(lambda request: time.sleep(0.01))
            jobs = [one.submit("ask") for _ in range(100)]
            jobs[0].result()
            print("done")
        """
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, "done\n", ""))


class Options(Case):
    def test_the_signatures_have_the_keys_of_the_library(self):
        def known(function, **members):
            error = self.assert_code(
                "invalid_config" if function in ("executor_new", "configure") else "invalid_request",
                arawn.call,
                function,
                {**members, "nope": 1},
            )
            return set(re.findall(r"`(\w+)`", str(error).split("known keys: ")[1]))

        def keywords(function):
            return set(inspect.signature(function).parameters)

        self.assertEqual(keywords(arawn.Executor), known("executor_new"))
        self.assertEqual(keywords(arawn.configure), known("configure"))
        given = {"input": 0, "executor": 0}
        self.assertEqual(keywords(arawn.Executor.execute), keywords(arawn.Executor.run))
        self.assertEqual(keywords(arawn.Executor.execute), keywords(arawn.Executor.submit))
        with executor() as one:
            keys = known("execute_runtime", executor=one.id)
            self.assertEqual(keywords(one.execute) - {"config", "context", "raw"}, keys - set(given))
            keys = known("catalog_register", executor=one.id)
            self.assertEqual(set(arawn.Registration.__annotations__) - {"wasm"}, keys - {"executor", "name", "path"})
        for kind, member in ((arawn.Limits, "limits"), (arawn.Capabilities, "capabilities")):
            error = self.assert_code("invalid_config", arawn.Executor, **{member: {"nope": 1}})
            keys = set(re.findall(r"`(\w+)`", str(error).split("known keys: ")[1]))
            self.assertEqual(set(kind.__annotations__), keys)

    def test_meta_and_raw_text(self):
        with executor() as one, ThreadPoolExecutor(1) as other:
            for execute in (
                one.execute,
                lambda *a, **k: other.submit(one.execute, *a, **k).result(),
                lambda *a, **k: one.submit(*a, **k).result(),
            ):
                # The main thread runs the later ones itself.
                for _ in range(6):
                    result = execute("passthrough", context=1, meta=True)
                    self.assertEqual((result.output["context"], result.meta["runtime"]), (1, "passthrough"))
                    text = execute("passthrough", b'{"n":1e400,  "m":1.0}', '"\\u00e9,\\"meta\\":{"', raw=True)
                    self.assertEqual(text, '{"config":{"n":1e400,  "m":1.0},"context":"\\u00e9,\\"meta\\":{"}')
                    result = execute("passthrough", context='{"meta":{}}', raw=True, meta=True)
                    self.assertEqual(
                        (result.output, result.meta["stderr"]), ('{"config":{},"context":{"meta":{}}}', "")
                    )
                    self.assert_code("runtime_error", execute, "fails", raw=True, meta=True)
            with self.assertRaisesRegex(TypeError, "with raw=True, context is the text of a JSON value, not dict"):
                one.execute("passthrough", context={}, raw=True)

    def test_raw_text_adds_no_key(self):
        with executor() as one:
            for text in (
                '1},"meta":true,"limits":{"fuel":null',
                '1},"executor":"other","x":{"y":1',
                '1,"config":2',
                '1},"job":"j","x":{"y":1',
                "1}",
                "",
                "1 2",
                '1},"runtime":"loop","x":{"y":1',
            ):
                for run in (one.execute, one.submit):
                    with self.assertRaises(arawn.Error) as raised:
                        run("passthrough", context=text, raw=True)
                    self.assertIn(raised.exception.code, ("invalid_request", "invalid_json"))

    def test_it_pickles_as_its_configuration(self):
        with executor("f", limits={"timeout_ms": 1234}) as one, pickle.loads(pickle.dumps(one)) as copy:
            self.assertNotEqual(one.id, copy.id)
            self.assertEqual({**one.policy, "executor": copy.id}, copy.policy)
            self.assertEqual(copy.execute("passthrough", context=1)["context"], 1)

    def test_runtimes_are_registered_from_bytes_and_removed(self):
        with executor() as one:
            shown = one.register("copy", wasm=(RUNTIMES / "custom/fails.wasm").read_bytes(), description="a copy")
            self.assertEqual((shown["name"], shown["description"]), ("copy", "a copy"))
            self.assertEqual(one.inspect("copy"), shown)
            self.assertIn("copy", [runtime["name"] for runtime in one.list()])
            self.assert_code("runtime_exists", one.register, "copy", RUNTIMES / "custom/fails.wasm")
            one.register("copy", RUNTIMES / "custom/writes.wasm", replace=True)
            self.assertEqual(one.execute("copy"), 1)
            one.remove("copy")
            self.assert_code("unknown_runtime", one.execute, "copy")
            self.assertEqual(one.stats()["executor"]["executor"], one.id)
            self.assertGreaterEqual(arawn.stats()["executors"], 1)
