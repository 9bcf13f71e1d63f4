"""Pipelines: what steps get, and how pipelines end."""

import asyncio
import pickle
import signal
import threading
import unittest

import arawn
from support import LONG, Case, Codes, executor, lua, picks, step, steps, ways


class Steps(Case):
    def test_outputs_pass_from_step_to_step(self):
        document = {
            "steps": [
                step("first", config={"n": 1}, needs=[]),
                step("other", needs=[]),
                step("both", needs=["other", "first"]),
                picks("after", "both.context.first.config.n"),
            ],
            "output": "both",
        }
        with executor() as one:
            for run in ways(one):
                context = {"given": 0, "other": {"config": {}, "context": {"given": 0}}}
                context["first"] = {"config": {"n": 1}, "context": {"given": 0}}
                self.assertEqual(run(document, {"given": 0}), {"config": {}, "context": context})
                result = run(document, {"given": 0}, meta=True)
                self.assertEqual(result.output["context"], context)
                told = [(told["name"], told["runtime"], told["tries"]) for told in result.meta["steps"]]
                names = [("first", "passthrough", 1), ("other", "passthrough", 1), ("both", "passthrough", 1)]
                self.assertEqual(told, [*names, ("after", "transform", 1)])

    def test_a_step_runs_for_each_item(self):
        document = steps(step("all", for_each="people", first_index=5))
        with executor() as one:
            for run in ways(one):
                output, meta = run(document, {"people": ["Ada", "Zoë"], "x": 1}, meta=True)
                contexts = [{"x": 1, "item": "Ada", "index": 5}, {"x": 1, "item": "Zoë", "index": 6}]
                self.assertEqual(output, [{"config": {}, "context": context} for context in contexts])
                self.assertEqual((meta["steps"][0]["items"], meta["steps"][0]["tries"]), (2, 2))
                self.assertEqual(run(document, {"people": []}), [])
                error = self.assert_code("invalid_request", run, document, {"people": 1})
                self.assertEqual(error.details["path"], "pipeline.steps[0].for_each")

    def test_a_step_is_tried_again(self):
        tried = 0

        def f(request):
            nonlocal tried
            tried += 1
            return tried

        def document(attempts):
            script = 'if arawn.call("f", {}) < 3 then error("not yet", 0) end return "at last"'
            return steps(step("first"), lua("second", script, retry={"attempts": attempts, "delay_ms": 1}))

        with executor("f", limits=LONG) as one:
            one.host_function("f")(f)
            for run in ways(one):
                tried = 0
                output, meta = run(document(3), meta=True)
                self.assertEqual((output, tried, meta["steps"][1]["tries"]), ("at last", 3, 3))
                tried = 0
                error = self.assert_code("runtime_error", run, document(2))
                self.assertEqual((error.details["step"], tried), ("second", 2))
                self.assertTrue(str(error).startswith("runtime_error: step `second`: not yet"), str(error))

    def test_what_is_completed_does_not_run(self):
        document = steps(step("first", "fails"), picks("second", "first.n"), step("third", "fails"))
        with executor() as one:
            for run in ways(one):
                error = self.assert_code("runtime_error", run, document)
                self.assertEqual((error.details["step"], error.details["completed"]), ("first", []))
                error = self.assert_code("runtime_error", run, document, completed={"first": {"n": 2**70}})
                self.assertEqual(str(error), "runtime_error: step `third`: no luck")
                self.assertEqual((error.details["step"], error.details["completed"]), ("third", ["first", "second"]))
                self.assertNotIn("index", error.details)
                given = {"first": {"n": 2**70}, "third": 3}
                self.assertEqual(run({**document, "output": "second"}, completed=given), 2**70)
                error = self.assert_code("invalid_request", run, document, completed={"frist": 1})
                self.assertEqual(error.details["path"], "completed.frist")


class Ends(Case):
    def test_the_error_tells_the_step_and_the_item(self):
        script = 'if input.context.item == 2 then error("no two", 0) end return 0'
        document = steps(step("first"), lua("each", script, for_each="list", needs=["first"]), step("last"))
        with executor(limits=LONG) as one:
            for run in ways(one):
                error = self.assert_code("runtime_error", run, document, {"list": [1, 1, 1, 2]})
                self.assertTrue(str(error).startswith("runtime_error: step `each`, item 3: no two"), str(error))
                told = {key: error.details[key] for key in ("step", "index", "completed")}
                self.assertEqual(told, {"step": "each", "index": 3, "completed": ["first"]})
                copy = pickle.loads(pickle.dumps(error))
                self.assertEqual((copy.code, copy.details), (error.code, error.details))
                error = self.assert_code("unknown_runtime", run, steps(step("first"), step("last", "nobody")))
                self.assertEqual((error.details["step"], error.details["completed"]), ("last", []))
                error = self.assert_code("timeout", run, steps(step("endless", "loop", limits={"timeout_ms": 20})))
                self.assertEqual((error.details["step"], error.details["timeout_ms"]), ("endless", 20))
                error = self.assert_code("invalid_request", run, steps(step("first")), limits={"timeout_ms": 300_001})
                self.assertEqual(error.details["path"], "limits.timeout_ms")

    def test_a_pipeline_is_cancelled_while_it_runs(self):
        document = steps(step("first"), step("asks", "ask"), step("endless", "loop"))
        with executor("f", limits=LONG) as one:
            one.host_function("f")(lambda request: one.cancel("nightly"))
            for run in ways(one):
                error = self.assert_code("cancelled", run, document, job="nightly")
                self.assertEqual(error.details["job"], "nightly")
                # The step that asks may end before the library sees that its call is cancelled.
                told = (error.details["step"], error.details["completed"])
                self.assertIn(told, (("asks", ["first"]), ("endless", ["first", "asks"])))
            self.assert_code("unknown_job", one.cancel, "nightly")
            is_inside = threading.Event()
            one.host_function("f")(lambda request: is_inside.set())
            job = one.submit_pipeline(document, job="again")
            self.assert_code("job_exists", one.submit_pipeline, document, job="again")
            self.assertTrue(is_inside.wait(300))
            self.assertFalse(job.done())
            self.assertTrue(job.cancel())
            self.assertIn(self.assert_code("cancelled", job.result).details["step"], ("asks", "endless"))

    def test_a_signal_cancels_the_pipeline_that_the_main_thread_waits_for(self):
        class Signalled(Exception):
            pass

        def handler(_signal, _frame):
            raise Signalled

        before = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        with executor("f", limits=LONG) as one:
            one.host_function("f")(lambda request: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))
            with self.assertRaises(Signalled):
                one.execute_pipeline(steps(step("asks", "ask"), step("endless", "loop")))
            for _ in range(3000):
                if not one._own:
                    break
                one.finished(timeout=0.1)
            self.assertEqual((one._own, one.finished()), ({}, []))

    def test_a_closed_executor_runs_none(self):
        one = executor()
        one.close()
        for run in (*ways(one), lambda document: one.execute_pipeline(document, dry_run=True)):
            error = self.assert_code("unknown_executor", run, steps(step("first")))
            self.assertIn("is closed", str(error))


class Awaited(Codes, unittest.IsolatedAsyncioTestCase):
    async def test_steps_that_do_not_wait_for_each_other_run_at_the_same_time(self):
        async with executor("f", limits=LONG) as one:
            inside, all_are = 0, asyncio.Event()

            @one.host_function("f")
            async def f(request):
                nonlocal inside
                inside += 1
                if inside == 6:
                    all_are.set()
                await asyncio.wait_for(all_are.wait(), 300)
                return inside

            document = steps(
                *(step(name, "ask", needs=[]) for name in ("left", "right")),
                step("items", "ask", for_each="list", needs=[]),
                step("last", needs=["left", "right", "items"]),
            )
            output = await one.run_pipeline(document, {"list": [1, 2, 3, 4]})
            reply = {"status": "ok", "output": 6}
            self.assertEqual(output["context"]["items"], [reply] * 4)
            self.assertEqual((output["context"]["left"], output["context"]["right"]), (reply, reply))

    async def test_pipelines_are_awaited(self):
        document = steps(step("first"), picks("last", "n"))
        async with executor() as one:
            self.assertEqual(
                await asyncio.gather(*(one.run_pipeline(document, {"n": n}) for n in range(50))), [*range(50)]
            )
            self.assertEqual(await one.submit_pipeline(document, {"n": 2**70}), 2**70)
            result = await one.run_pipeline(document, {"n": 1}, meta=True, completed={"first": 0})
            self.assertEqual((result.output, [told["name"] for told in result.meta["steps"]]), (1, ["last"]))
            text = '{"steps":[{"name":"a","runtime":"passthrough"}]}'
            self.assertEqual(await one.run_pipeline(text, '{"n": 1.0}', raw=True), '{"config":{},"context":{"n": 1.0}}')
            for begin in (one.run_pipeline, one.submit_pipeline):
                with self.assertRaises(arawn.Error) as raised:
                    await begin(steps(step("first"), step("second", "fails")))
                self.assertEqual(raised.exception.details["completed"], ["first"])

    async def test_a_cancelled_task_cancels_its_pipeline(self):
        document = steps(step("asks", "ask"), step("endless", "loop"))
        async with executor("f", limits=LONG) as one:
            is_inside = asyncio.Event()

            @one.host_function("f")
            async def f(request):
                is_inside.set()

            for begin in (
                lambda: one.run_pipeline(document, job="named"),
                lambda: asyncio.ensure_future(one.submit_pipeline(document, job="named")),
            ):
                is_inside.clear()
                task = asyncio.ensure_future(begin())
                await asyncio.wait_for(is_inside.wait(), 300)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                for _ in range(300_000):
                    if not one._own:
                        break
                    await asyncio.sleep(0.001)
                self.assertEqual((one._own, one.finished()), ({}, []))
                # Its name is free again.
                self.assertEqual(await one.run_pipeline(steps(picks("a", "n")), {"n": 1}, job="named"), 1)
