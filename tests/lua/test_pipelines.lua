-- Pipelines in bindings/lua/arawn.lua, with guests from ARAWN_RUNTIMES: `loop` never ends, `fails` says no luck, `ask`
-- calls the host function f and answers its reply.
local arawn = require "arawn"
local check = require "check"
local json = arawn.json

local tests = {}

local function executor(limits)
    return assert(arawn.executor {
        runtimes_dir = assert(os.getenv("ARAWN_RUNTIMES")), cache_dir = json.null,
        limits = limits or { timeout_ms = 20000 }, capabilities = { host_functions = json.array { "f" } },
    })
end

-- Each way to run a pipeline: in one call where no host function is set, else by a job; and as a job of its own.
local function ways(main)
    return {
        function(...) return main:execute_pipeline(...) end,
        function(...)
            local job, err = main:submit_pipeline(...)
            if not job then
                return nil, err
            end
            return job:wait()
        end,
    }
end

local function script(text)
    return { script = "return function(input) " .. text .. " end" }
end

function tests.test_a_pipeline_passes_outputs_from_step_to_step()
    local main = executor()
    local document = {
        steps = {
            { name = "first", runtime = "passthrough", config = { n = 1 }, needs = json.array {} },
            { name = "other", runtime = "passthrough", needs = json.array {} },
            { name = "each", runtime = "passthrough", for_each = "list", first_index = 5, needs = { "first" } },
            { name = "last", runtime = "transform", config = { expression = "each.1.context.index" } },
        },
    }
    for _ = 1, 2 do
        for _, run in ipairs(ways(main)) do
            local options = { context = { given = 0, list = { "a", "b" } }, meta = true }
            local output, err, meta = run(document, options)
            check.equal(err, nil)
            check.equal(output, 6)
            check.equal(#meta.steps, 4)
            check.equal(meta.steps[3].items, 2)
            check.equal(meta.steps[3].runtime, "passthrough")
            document.output = "each"
            output = assert(run(document, options))
            check.equal(output[2].context.item, "b")
            check.equal(output[2].context.index, 6)
            check.equal(output[2].context.first.config.n, 1)
            check.equal(output[2].context.other, nil)
            document.output = nil
            local _, problem = run(document, { context = { list = 1 } })
            check.equal(problem.code, "invalid_request")
            check.equal(problem.details.path, "pipeline.steps[2].for_each")
        end
        assert(main:host_function("f", print))
    end
    assert(main:close())
end

function tests.test_a_failed_step_is_told_and_what_is_completed_does_not_run()
    local main = executor { timeout_ms = 300000 }
    local document = {
        steps = {
            { name = "first", runtime = "fails" },
            { name = "second", runtime = "transform", config = { expression = "first.n" } },
            { name = "third", runtime = "lua", for_each = "list", needs = { "second" },
              config = script('if input.context.item == 2 then error("no two", 0) end') },
        },
    }
    for _, run in ipairs(ways(main)) do
        local context = { list = { 1, 1, 1, 2 } }
        local output, err = run(document, { context = context })
        check.equal(output, nil)
        check.equal(tostring(err), "runtime_error: step `first`: no luck")
        check.equal(err.details.step, "first")
        check.equal(err.details.index, nil)
        check.equal(#err.details.completed, 0)
        err = select(2, run(document, { context = context, completed = { first = { n = 1 } } }))
        check.equal(err.code, "runtime_error")
        assert(err.message:find("^step `third`, item 3: no two"), err.message)
        check.equal(err.details.step .. err.details.index, "third3")
        check.equal(table.concat(err.details.completed, " "), "first second")
        document.output = "second"
        local completed = { first = { n = 12345678901234567890ULL }, third = false }
        check.equal(run(document, { context = context, completed = completed }), 12345678901234567890ULL)
        document.output = nil
        err = select(2, run(document, { context = context, completed = { frist = 1 } }))
        check.equal(err.details.path, "completed.frist")
    end
    assert(main:close())
end

function tests.test_a_step_is_tried_again()
    local main = executor { timeout_ms = 300000 }
    local tried
    assert(main:host_function("f", function()
        tried = tried + 1
        return tried
    end))
    local step = {
        name = "late", runtime = "lua",
        config = script('if arawn.call("f", {}) < 3 then error("not yet", 0) end return "at last"'),
    }
    for _, run in ipairs(ways(main)) do
        tried, step.retry = 0, { attempts = 3, delay_ms = 1 }
        local output, err, meta = run({ steps = { step } }, { meta = true })
        check.equal(err, nil)
        check.equal(output, "at last")
        check.equal(tried, 3)
        check.equal(meta.steps[1].tries, 3)
        tried, step.retry = 0, { attempts = 2 }
        err = select(2, run { steps = { step } })
        check.equal(err.code, "runtime_error")
        check.equal(err.details.step, "late")
        check.equal(tried, 2)
    end
    assert(main:close())
end

function tests.test_a_pipeline_is_cancelled_while_it_runs()
    local main = executor { timeout_ms = 300000 }
    local document = {
        steps = {
            { name = "first", runtime = "passthrough" }, { name = "asks", runtime = "ask" },
            { name = "endless", runtime = "loop" },
        },
    }
    local cancel = function() return assert(main:cancel("nightly")) end
    assert(main:host_function("f", function() return cancel() end))
    for _, run in ipairs(ways(main)) do
        local output, err = run(document, { job = "nightly" })
        check.equal(output, nil)
        check.equal(err.code, "cancelled")
        check.equal(err.details.job, "nightly")
        check.equal(err.details.completed[1], "first")
    end
    check.equal(select(2, main:cancel("nightly")).code, "unknown_job")
    local job
    cancel = function() return assert(job:cancel()) end
    job = assert(main:submit_pipeline(document))
    check.equal(select(2, job:wait()).code, "cancelled")
    assert(main:close())
end

-- Steps that do not wait for each other run at the same time: each waits in its host function for all others.
function tests.test_coroutines_await_pipelines()
    local main = executor { timeout_ms = 300000 }
    local inside = 0
    assert(main:host_function("f", function()
        inside = inside + 1
        while inside < 4 do
            main:await()
        end
        return inside
    end, { deferred = true }))
    local document = {
        steps = {
            { name = "left", runtime = "ask", needs = json.array {} },
            { name = "right", runtime = "ask", needs = json.array {} },
            { name = "items", runtime = "ask", for_each = "list", needs = json.array {} },
            { name = "last", runtime = "passthrough", needs = { "left", "right", "items" } },
        },
    }
    local seen, failed, told
    coroutine.wrap(function()
        seen = assert(main:await(assert(main:submit_pipeline(document, { context = { list = { 1, 2 } } }))))
        failed = select(2, main:await(assert(main:submit_pipeline { steps = { { name = "a", runtime = "fails" } } })))
        local options, steps = { context = { n = 7 }, meta = true }, { { name = "b", runtime = "passthrough" } }
        assert(main:submit_pipeline({ steps = steps }, options, function(output, err, meta)
            told = { output.context.n, err, meta.steps[1].name }
        end))
    end)()
    while not told do
        assert(main:poll(10))
    end
    check.equal(seen.context.left.output, 4)
    check.equal(#seen.context.items, 2)
    check.equal(failed.details.step, "a")
    check.equal(told[1], 7)
    check.equal(told[3], "b")
    assert(main:close())
    local _, err = main:execute_pipeline(document, { dry_run = true })
    check.equal(tostring(err), ('unknown_executor: the executor "%s" is closed'):format(main.id))
    for _, run in ipairs(ways(main)) do
        check.equal(select(2, run(document)).code, "unknown_executor")
    end
end

function tests.test_documents_are_checked_and_raw()
    local main = executor()
    local document = { steps = { { name = "a", runtime = "nobody" }, { name = "b", runtime = "x" } }, output = "a" }
    for _ = 1, 2 do
        local shown = assert(main:execute_pipeline(document, { dry_run = true, meta = true }))
        check.equal(json.encode(shown),
            '{"output":"a","steps":[{"name":"a","needs":[]},{"name":"b","needs":["a"]}]}')
        check.equal(main:execute_pipeline(document, { dry_run = true, raw = true }):sub(1, 10), '{"steps":[')
        check.equal(select(2, main:submit_pipeline(document, { dry_run = true })).details.path, "dry_run")
        for _, run in ipairs(ways(main)) do
            local text = '{"steps":[{"name":"a","runtime":"passthrough","config":[12345678901234567890123,  1.0]}]}'
            local options = { context = json.raw '{"pi": 3.10}', raw = true, meta = true }
            local output, err, meta = run(json.raw(text), options)
            check.equal(err, nil)
            check.equal(output, '{"config":[12345678901234567890123,  1.0],"context":{"pi": 3.10}}')
            check.equal(meta.steps[1].name, "a")
            check.equal(run(json.raw(text), { completed = json.raw '{"a": 1.50 }', raw = true }), "1.50")
            err = select(2, run { steps = { { name = "a", runtime = "passthrough", forEach = "x" } } })
            check.equal(err.details.path, "pipeline.steps[0].forEach")
            err = select(2, run(document, { limits = { timeout = 1 } }))
            check.equal(err.details.path, "limits.timeout")
            check.equal(select(2, run(text)).details.path, "pipeline")
            local known = "completed, context, dry_run, job, limits, meta, raw. Did you mean `context`?"
            check.raises("a pipeline has no option `contxt`; it has: " .. known, run, document, { contxt = {} })
            check.raises("pipeline.steps[1].config: JSON has no function", run, { steps = { { config = print } } })
        end
        assert(main:host_function("f", print))
    end
    assert(main:close())
end

assert(arawn.configure { workers = 2 })
check.run(tests)
