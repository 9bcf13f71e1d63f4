"""What pipelines are given: documents, JSON text, options; and what is wrong with them."""

import inspect
import re

import arawn
from support import Case, executor, step, steps, ways


class Documents(Case):
    def test_a_dry_run_shows_what_waits_for_what(self):
        document = {"steps": [step("a", "nobody"), step("b"), step("c", needs=["a"])], "output": "b"}
        needs = [{"name": "a", "needs": []}, {"name": "b", "needs": ["a"]}, {"name": "c", "needs": ["a"]}]
        with executor("f") as one:
            for execute in ways(one)[:2]:
                # Also where the reply has no meta.
                for meta in (False, True):
                    shown = execute(document, dry_run=True, meta=meta)
                    self.assertEqual(shown, {"steps": needs, "output": "b"})
                shown = execute('{"steps":[{"name":"a","runtime":"x"}]}', raw=True, dry_run=True, meta=True)
                self.assertEqual(shown, '{"steps":[{"name":"a","needs":[]}],"output":"a"}')
                error = self.assert_code("invalid_request", execute, steps(step("a", needs=["z"])), dry_run=True)
                self.assertEqual(error.details, {"path": "pipeline.steps[0].needs[0]"})
            with self.assertRaisesRegex(TypeError, "dry_run"):
                one.submit_pipeline(document, dry_run=True)

    def test_raw_text_passes_byte_for_byte(self):
        document = '{"steps": [{"name":"a","runtime":"passthrough", "config":{"n":12345678901234567890,  "m":1.0}}]}'
        context = '{"x": 1e400, "u":"\\u00e9,\\"meta\\":{"}'
        output = f'{{"config":{{"n":12345678901234567890,  "m":1.0}},"context":{context}}}'
        with executor() as one:
            for run in ways(one):
                self.assertEqual(run(document, context, raw=True), output)
                result = run(document.encode(), context.encode(), raw=True, meta=True)
                self.assertEqual((result.output, result.meta["steps"][0]["name"]), (output, "a"))
                self.assertEqual(run(document, completed='{"a": 1.50 }', raw=True), "1.50")
                self.assert_code(
                    "runtime_error", run, '{"steps":[{"name":"a","runtime":"fails"}]}', raw=True, meta=True
                )
            for given in ({"context": {}}, {"completed": {}}):
                with self.assertRaisesRegex(TypeError, f"{next(iter(given))} is the text of a JSON value, not dict"):
                    one.execute_pipeline(document, raw=True, **given)
            with self.assertRaisesRegex(TypeError, "pipeline is the text of a JSON value, not dict"):
                one.execute_pipeline(steps(step("a")), raw=True)

    def test_raw_text_adds_no_key(self):
        with executor() as one:
            document = '{"steps":[{"name":"a","runtime":"passthrough"}]}'
            for text in (
                '{},"meta":true',
                '{},"dry_run":true,"x":{}',
                '{},"context":{}',
                '{},"completed":{}',
                '{},"limits":{"fuel":1}',
                '{},"job":"j"',
                '{},"executor":"other"',
                "{}}",
                "",
                "{} {}",
            ):
                for given in ((document, text, None), (document, None, text), (document + text[2:] + " 1", None, None)):
                    for run in (one.execute_pipeline, one.submit_pipeline):
                        with self.assertRaises(arawn.Error) as raised:
                            run(given[0], given[1], completed=given[2], raw=True)
                        self.assertIn(raised.exception.code, ("invalid_request", "invalid_json"))

    def test_what_is_misspelt_is_refused(self):
        with executor() as one:
            for run in (one.execute_pipeline, one.submit_pipeline):
                with self.assertRaisesRegex(TypeError, "contxt"):
                    run(steps(step("a")), contxt={})
                error = self.assert_code("invalid_request", run, steps(step("a", forEach="x")))
                self.assertEqual(error.details, {"path": "pipeline.steps[0].forEach"})
                self.assertIn("`for_each`", str(error))
                error = self.assert_code("invalid_request", run, steps(step("a")), limits={"timeout": 1})
                self.assertEqual(error.details, {"path": "limits.timeout"})
                with self.assertRaisesRegex(TypeError, r"^pipeline.steps\[0\].config.x is of type object"):
                    run(steps(step("a", config={"x": object()})))
                with self.assertRaisesRegex(ValueError, "^context.x has half of a surrogate pair"):
                    run(steps(step("a")), {"x": "\ud800"})

    def test_the_signatures_and_types_have_the_keys_of_the_library(self):
        def known(**members):
            error = self.assert_code("invalid_request", arawn.call, "execute_pipeline", members)
            return set(re.findall(r"`(\w+)`", str(error).split("known keys: ")[1]))

        def keywords(function):
            return set(inspect.signature(function).parameters) - {"self"}

        options = known(nope=1) - {"executor"}
        self.assertEqual(keywords(arawn.Executor.execute_pipeline), options | {"raw"})
        for function in (arawn.Executor.submit_pipeline, arawn.Executor.run_pipeline):
            self.assertEqual(keywords(function), options - {"dry_run"} | {"raw"})
        retry = step("a", retry={"nope": 1})
        for kind, document in (
            (arawn.Pipeline, {"nope": 1}),
            (arawn.Step, steps({"nope": 1})),
            (arawn.Retry, steps(retry)),
        ):
            self.assertEqual(set(kind.__annotations__), known(executor="nobody", pipeline=document))
