"""Calls that are awaited, and coroutine functions that guests call."""

import asyncio
import gc
import os
import threading
import unittest
import weakref

import arawn
from support import Codes, executor


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class AsyncCase(Codes, unittest.IsolatedAsyncioTestCase):
    async def assert_fails(self, code, awaitable):
        with self.assertRaises(arawn.Error) as raised:
            await asyncio.wait_for(awaitable, 60)
        self.assertEqual(raised.exception.code, code)
        return raised.exception

    async def until(self, is_so):
        """Lets the event loop go on until something is so."""
        for _ in range(60_000):
            if is_so():
                return
            await asyncio.sleep(0.001)
        self.fail("it does not come to be so")


def unpolled():
    return arawn.stats()["queue"]["unpolled"]


def cancelled():
    return arawn.stats()["calls"].get("cancelled", 0)


class Awaited(AsyncCase):
    async def test_calls_are_awaited(self):
        async with executor() as one:
            self.assertEqual(await one.run("passthrough", {"a": 1}, [2]), {"config": {"a": 1}, "context": [2]})
            result = await one.run("passthrough", context=1, meta=True, job="named")
            self.assertEqual((result.output["context"], result.meta["runtime"]), (1, "passthrough"))
            self.assertEqual(await one.run("passthrough", "1.0", "1e400", raw=True), '{"config":1.0,"context":1e400}')
            self.assertEqual(str(await self.assert_fails("runtime_error", one.run("fails"))), "runtime_error: no luck")
            await self.assert_fails("unknown_runtime", one.run("nobody"))
            await self.assert_fails("timeout", one.run("loop", limits={"timeout_ms": 20}))
            with self.assertRaisesRegex(TypeError, "^context.x is of type"):
                await one.run("passthrough", context={"x": object()})
            with self.assertRaisesRegex(TypeError, "contxt"):
                await one.run("passthrough", contxt=1)
        await self.assert_fails("unknown_executor", one.run("passthrough"))

    async def test_many_are_awaited_at_once(self):
        async with executor() as one:
            outputs = await asyncio.gather(*(one.run("passthrough", context=n) for n in range(300)))
            self.assertEqual([output["context"] for output in outputs], list(range(300)))

    async def test_a_job_is_awaited_by_several(self):
        async with executor() as one:
            job = one.submit("passthrough", context=1)
            self.assertEqual(await asyncio.gather(*(asyncio.ensure_future(job) for _ in range(3))), [await job] * 3)
            self.assertEqual((job.result(), job.done()), ({"config": {}, "context": 1}, True))
            await self.assert_fails("runtime_error", one.submit("fails"))
            shown = await one.submit_registration(
                "twice", script="return function(i) return i.context * 2 end", language="lua"
            )
            self.assertEqual(shown["kind"], "script")
            self.assertEqual(await one.run("twice", context=21), 42)
            one.remove("twice")

    async def test_a_cancelled_task_cancels_its_job(self):
        async with executor(limits={"timeout_ms": 300_000}) as one:
            for begin in (lambda: one.run("loop", job="endless"), lambda: asyncio.ensure_future(one.submit("loop"))):
                before = cancelled()
                task = asyncio.ensure_future(begin())
                await asyncio.sleep(0.01)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                await self.until(lambda before=before: cancelled() == before + 1)
                await self.until(lambda: unpolled() == 0)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(one.run("loop"), 0.02)
            await self.until(lambda: unpolled() == 0)
            self.assertEqual(one.finished(), [])

    async def test_a_task_cancelled_without_async_with_leaves_nothing(self):
        with executor(limits={"timeout_ms": 300_000}) as one:
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(one.run("loop"), 0.02)
            await self.until(lambda: one._own == {})
            self.assertEqual((unpolled(), one._watches.of(asyncio.get_running_loop()).waiting), (0, 0))

    async def test_an_idle_loop_is_not_woken(self):
        """By no timer; and not again and again by what it leaves to others."""
        with executor() as one:
            await one.run("passthrough")
            loop = asyncio.get_running_loop()
            self.assertEqual(loop._scheduled, [])
            turns = 0
            select = loop._selector.select

            def counted(timeout):
                nonlocal turns
                turns += 1
                return select(timeout)

            loop._selector.select = counted
            job = one.submit("passthrough", job="of a frame loop")
            await asyncio.sleep(0.1)
            del loop._selector.select
            self.assertLess(turns, 20)
            self.assertEqual(one.finished(timeout=60), [job])
            self.assertEqual(await one.run("passthrough", context=1), {"config": {}, "context": 1})

    async def test_a_loop_and_a_frame_loop_share_an_executor(self):
        async with executor() as one:
            jobs = [one.submit("passthrough", context=n) for n in range(20)]
            outputs = await asyncio.gather(*(one.run("passthrough", context=n) for n in range(20)))
            self.assertEqual([output["context"] for output in outputs], list(range(20)))
            seen = set()
            await self.until(lambda: seen.update(one.finished()) or len(seen) == 20)
            self.assertEqual(seen, set(jobs))

    async def test_calls_that_are_awaited_fail_where_the_executor_is_closed(self):
        one = executor(limits={"timeout_ms": 300_000})
        tasks = [asyncio.ensure_future(one.run("loop")), asyncio.ensure_future(one.submit("loop"))]
        await asyncio.sleep(0.01)
        await one.aclose()
        for task in tasks:
            await self.assert_fails("unknown_executor", task)
        await self.assert_fails("unknown_executor", one.submit("loop") if one.id else one.run("loop"))

    async def test_descriptors_are_closed(self):
        async with executor() as one:
            await one.run("passthrough")
        before = descriptors()
        for _ in range(20):
            async with executor() as one:
                await one.run("passthrough")
        one = executor()
        await one.run("passthrough")
        gone = weakref.ref(one)
        del one
        gc.collect()
        await asyncio.sleep(0)
        self.assertEqual((gone(), descriptors()), (None, before))


class Loops(Codes, unittest.TestCase):
    def test_one_loop_after_the_other(self):
        with executor("f") as one:

            @one.host_function("f")
            async def f(request):
                await asyncio.sleep(0)
                return request

            async def main():
                return (await one.run("ask"))["output"]

            before = None
            for _ in range(3):
                self.assertEqual(asyncio.run(main()), {"from": "the guest"})
                before = before or descriptors()
            self.assertEqual(descriptors(), before)

    def test_loops_of_several_threads(self):
        with executor() as one:

            async def main(begin, seen):
                for n in range(begin, begin + 100):
                    seen.append((await asyncio.wait_for(one.run("passthrough", context=n), 60))["context"])

            seen = [[], [], []]
            threads = [threading.Thread(target=lambda n=n: asyncio.run(main(n, seen[n]))) for n in range(3)]
            for thread in threads:
                thread.start()
            for n in range(100):
                self.assertEqual(one.execute("passthrough", context=n)["context"], n)
            for thread in threads:
                thread.join()
            self.assertEqual(seen, [list(range(n, n + 100)) for n in range(3)])


class CoroutineFunctions(AsyncCase):
    async def test_guests_wait_for_coroutines_together(self):
        async with executor("f") as one:
            waiting, go = 0, asyncio.Event()

            @one.host_function("f")
            async def f(request):
                nonlocal waiting
                waiting += 1
                if waiting == 10:
                    go.set()
                await go.wait()
                return {"text": "Zoë", **request}

            # More than there are workers of the library.
            replies = await asyncio.wait_for(asyncio.gather(*(one.run("ask") for _ in range(10))), 60)
            self.assertEqual(replies, [{"status": "ok", "output": {"text": "Zoë", "from": "the guest"}}] * 10)

    async def test_what_it_raises_reaches_the_guest(self):
        async with executor("f") as one:

            def raises(error):
                @one.host_function("f")
                async def f(request):
                    await asyncio.sleep(0)
                    raise error

                return one.run("ask")

            self.assertEqual(await raises(KeyError("door")), {"status": "error", "error": "KeyError: 'door'"})

            @one.host_function("f")
            async def within(request):
                return await one.run("nobody")

            self.assertEqual((await one.run("ask"))["code"], "unknown_runtime")

            @one.host_function("f")
            async def not_json(request):
                return object()

            self.assertTrue((await one.run("ask"))["error"].startswith("TypeError: output is of type object"))
            one.host_function("f", on="poll")(lambda request: threading.get_ident())
            self.assertEqual((await one.run("ask"))["output"], threading.get_ident())
            one.host_function("f")(lambda request: "plain")
            self.assertEqual((await one.run("ask"))["output"], "plain")
            one.remove_host_function("f")
            self.assertEqual((await one.run("ask"))["code"], "host_function_failed")

    async def test_a_call_of_another_thread_is_answered_in_the_loop(self):
        with executor("f") as one:
            threads = []

            @one.host_function("f")
            async def f(request):
                threads.append(threading.get_ident())
                return 1

            loop = asyncio.get_running_loop()
            for begin in (lambda: one.execute("ask"), lambda: one.submit("ask").result()):
                self.assertEqual((await loop.run_in_executor(None, begin))["output"], 1)
            self.assertEqual(threads, [threading.get_ident()] * 2)

    async def test_a_call_that_blocks_the_loop_says_so(self):
        async with executor("f") as one:

            @one.host_function("f")
            async def f(request):
                return 1

            self.assertIn("the event loop is blocked", one.execute("ask")["error"])
            self.assertIn("the event loop is blocked", one.submit("ask").result()["error"])

    async def test_a_guest_that_has_ended_is_not_answered(self):
        async with executor("f") as one:
            ended = asyncio.Event()

            @one.host_function("f")
            async def f(request):
                await ended.wait()
                return 1

            await self.assert_fails("timeout", one.run("ask", limits={"timeout_ms": 30}))
            ended.set()
            self.assertEqual((await one.run("ask"))["output"], 1)

    async def test_lines_of_stderr_are_told(self):
        async with executor("f", stderr_to="f") as one:
            told = []

            @one.host_function("f")
            async def f(message):
                told.append(message["line"])

            await one.run("writes")
            await self.until(lambda: len(told) == 2)
            self.assertEqual(told, ["first", "last"])


class WithoutALoop(Codes, unittest.TestCase):
    def test_a_coroutine_function_needs_a_loop(self):
        with executor("f") as one:

            @one.host_function("f")
            async def f(request):
                return 1

            self.assertIn("needs an event loop", one.execute("ask")["error"])
