-- bindings/lua/arawn.lua, with guests from ARAWN_RUNTIMES: `loop` never ends, `fails` says no luck, `ask` calls the
-- host function f with {"from":"the guest"} and answers its reply, `large` answers a mebibyte,
-- `writes` writes "first" and "last" to stderr.
local arawn = require "arawn"
local check = require "check"
local ffi = require "ffi"
local json = arawn.json

local RUNTIMES = assert(os.getenv("ARAWN_RUNTIMES"))
local tests = {}

local function executor(limits)
    return assert(arawn.executor {
        runtimes_dir = RUNTIMES, cache_dir = json.null, limits = limits or { timeout_ms = 20000 },
        capabilities = { host_functions = json.array { "f", "g" } },
    })
end

local function resident_bytes()
    local file = assert(io.open("/proc/self/statm"))
    local pages = file:read("*a"):match("^%d+ (%d+)")
    file:close()
    return pages * 4096
end

function tests.test_execute()
    local main = executor()
    local context = { text = "Zoë \0", list = json.array {}, empty = {}, nothing = json.null, id = 9007199254740993LL }
    local output = assert(main:execute("passthrough", { config = { a = 1 }, context = context }))
    check.equal(json.encode(output), json.encode { config = { a = 1 }, context = context })
    check.equal(json.encode(main:execute("passthrough")), '{"config":{},"context":{}}')
    check.equal(arawn.version():match("^%d+%.%d+%.%d+$"), arawn.version())
    assert(main:close())
end

function tests.test_errors_are_second_results()
    local main = executor()
    local output, err = main:execute("fails")
    check.equal(output, nil)
    check.equal(err.code, "runtime_error")
    check.equal(tostring(err), "runtime_error: no luck")
    _, err = main:execute("nobody")
    check.equal(err.details.runtime, "nobody")
    _, err = arawn.executor { timeout_ms = 1 }
    check.equal(err.code, "invalid_config")
    _, err = main:execute("passthrough", { context = { text = "\255" } })
    check.equal(err.code, "invalid_argument")
    check.raises("context[1]: JSON has no function", main.execute, main, "passthrough", { context = { print } })
    local gap = { config = { a = { 1, nil, 3 } } }
    check.raises("config.a: a list with nothing at [2]", main.submit, main, "passthrough", gap)
    assert(main:host_function("f", function() return { 1, x = 2 } end))
    check.equal(main:execute("ask").error, "output: a list that has the key `x`, too: a table is a list or an object")
    assert(main:close())
end

function tests.test_a_closed_executor_stays_closed()
    local function named()
        return assert(arawn.executor {
            id = "named", cache_dir = json.null, capabilities = { host_functions = json.array { "f" } },
        })
    end
    local first = named()
    local job = assert(first:submit("passthrough"))
    assert(first:close())
    local second = named()
    for _, use in ipairs {
        function() return first:close() end,
        function() return first:submit("passthrough") end,
        function() return first:execute("passthrough") end,
        function() return first:poll() end,
        function() return first:host_function("f", print) end,
        function() return first:register("r", { path = "r.wasm" }) end,
        function() return first:inspect("passthrough") end,
        function() return first:remove("passthrough") end,
        function() return first:runtimes() end,
        function() return first:stats() end,
        function() return job:wait() end,
        function() return job:cancel() end,
    } do
        local output, err = use()
        check.equal(output, nil)
        check.equal(tostring(err), 'unknown_executor: the executor "named" is closed')
        check.equal(err.details.executor, "named")
    end
    check.raises("is closed", function() assert(first:poll()) end)
    -- One that has attached lets go of it, and no more.
    local attached = arawn.attach("named")
    assert(attached:close())
    check.equal(select(2, attached:execute("passthrough")).code, "unknown_executor")
    check.equal(select(2, attached:close()).code, "unknown_executor")
    assert(second:execute("passthrough"))
    assert(second:close())
end

function tests.test_options_that_there_are_not()
    local main = executor()
    for _, call in ipairs { { contxt = {} }, { limit = { timeout_ms = 1 } }, { "config" } } do
        local option = next(call)
        for _, run in ipairs { main.submit, main.execute } do
            local expected = ("a call has no option `%s`; it has: config, context, job, limits, meta, raw"):format(option)
            check.raises(expected, run, main, "passthrough", call)
        end
    end
    local _, err = main:execute("passthrough", { limits = { timeout = 1 } })
    check.equal(err.code, "invalid_request")
    assert(err.message:find("timeout", 1, true) and err.message:find("timeout_ms", 1, true), err.message)
    _, err = arawn.executor { limit = {} }
    check.equal(err.code, "invalid_config")
    check.raises("`executor`", main.register, main, "r", { executor = "another" })
    check.raises("`name`", main.register, main, "r", { name = "another" })
    for _, name in ipairs { "free", "string_new", "version", "host_function_set", "nothing" } do
        check.raises(("arawn_%s is not called so; these are: cancel, "):format(name), arawn.call, name, {})
    end
    check.raises("keeps this thread", arawn.call, "execute_runtime", { executor = main.id, runtime = "passthrough" })
    check.raises("or an executor's execute_pipeline", arawn.call, "execute_pipeline", { executor = main.id })
    assert(main:close())
end

-- Every function of the header that takes JSON and returns JSON, but those that block.
function tests.test_what_is_called_by_name()
    local file = assert(io.open(assert(os.getenv("ARAWN_HEADER"))))
    for name in file:read("*a"):gmatch("\nchar %*arawn_([%l_]+)%(const char %*[%l_]+%);") do
        if name ~= "string_new" and name ~= "execute_runtime" and name ~= "execute_pipeline" then
            local _, err = arawn.call(name, { no_such_key = 1 })
            assert(err and err.message:find("no_such_key", 1, true), name)
        end
    end
    file:close()
end

function tests.test_other_modules_keep_their_names()
    check.equal(package.loaded.json, nil)
    check.equal(rawget(_G, "json"), nil)
    check.equal(rawget(_G, "arawn"), nil)
    package.preload.json = function() return "another" end
    check.equal(require "json", "another")
    -- In a directory of a program, too.
    local places = package.path
    package.path = places:gsub("%?%.lua", "../?.lua")
    local again = require "lua.arawn"
    package.path = places
    check.equal(package.loaded["lua.arawn_json"], again.json)
end

function tests.test_poll_hands_out_what_has_ended()
    local main = executor()
    local outputs = {}
    for index = 1, 20 do
        assert(main:submit("passthrough", { context = { index = index }, meta = true }, function(output, err, meta)
            check.equal(err, nil)
            check.equal(meta.runtime, "passthrough")
            outputs[output.context.index] = true
        end))
    end
    assert(main:submit("fails", nil, function(output, err)
        check.equal(output, nil)
        outputs.failed = err.message
    end))
    local count = 0
    while count < 21 do
        count = count + assert(main:poll(10))
    end
    check.equal(#outputs, 20)
    check.equal(outputs.failed, "no luck")
    check.equal(next(main.jobs), nil)
    assert(main:close())
end

function tests.test_what_done_raises_loses_no_other_job()
    local main = executor()
    local ended = {}
    for index = 1, 3 do
        local job = assert(main:submit("passthrough", nil, function()
            ended[#ended + 1] = index
            error("job " .. index, 0)
        end))
        -- So that one poll takes all three.
        while main:stats().queue.unpolled < index do
        end
        assert(job.reply == nil)
    end
    for index = 1, 3 do
        check.raises("job " .. index, main.poll, main)
        check.equal(#ended, index)
    end
    check.equal(main:poll(), 0)
    assert(main:close())
end

function tests.test_wait_and_cancel()
    local main = executor()
    local job = assert(main:submit("loop", { job = "named" }))
    check.equal(job.name, "named")
    check.equal(select("#", job:wait(0.05)), 1)
    check.equal(job.reply, nil)
    check.equal(job:cancel(), true)
    local output, err = job:wait()
    check.equal(output, nil)
    check.equal(err.code, "cancelled")
    check.equal(select(2, job:wait()).code, "cancelled")
    check.equal(select(2, job:cancel()).code, "unknown_job")
    _, err = main:execute("loop", { limits = { timeout_ms = 30 } })
    check.equal(err.code, "timeout")
    assert(main:close())
end

function tests.test_host_functions_run_on_this_thread_only()
    local main = executor()
    local asked = {}
    assert(main:host_function("f", function(request)
        asked[#asked + 1] = request.from
        return { pieces = 7 }
    end))
    local reply = assert(main:execute("ask"))
    check.equal(json.encode(reply), '{"output":{"pieces":7},"status":"ok"}')
    check.equal(asked[1], "the guest")
    -- Without a poll nobody answers, and the thread's own Lua code goes on.
    local job = assert(main:submit("ask"))
    local until_clock = os.clock() + 0.2
    while os.clock() < until_clock do
        check.equal(#asked, 1)
    end
    assert(job:wait())
    check.equal(#asked, 2)
    -- Nothing is an answer too.
    assert(main:host_function("f", function() end))
    check.equal(main:execute("ask").output, json.null)
    assert(main:host_function("f", function() return false end))
    check.equal(main:execute("ask").output, false)
    assert(main:host_function("f", nil))
    check.equal(main:execute("ask").code, "host_function_failed")
    local _, err = main:host_function("not.granted", print)
    check.equal(err.code, "invalid_request")
    assert(main:close())
end

function tests.test_errors_of_host_functions_reach_the_guest_and_go_no_further()
    local main = executor()
    for expected, run in pairs {
        ["no such article"] = function() error("no such article", 0) end,
        ["a table"] = function() error(setmetatable({}, { __tostring = function() return "a table" end })) end,
        ["without a text"] = function() error(setmetatable({}, { __tostring = error })) end,
        ["yield"] = function() coroutine.yield() end,
        ["stack overflow"] = function() local function deeper() return 1 + deeper() end return deeper() end,
        ["no function"] = function() return print end,
        ["nil value"] = function(request) return request.no.such end,
    } do
        assert(main:host_function("f", run))
        local reply
        -- Within a coroutine as well, where a callback could try to yield.
        local frame = coroutine.wrap(function() reply = assert(main:execute("ask")) end)
        frame()
        check.equal(reply.status, "error")
        assert(tostring(reply.error):find(expected, 1, true), reply.error)
    end
    assert(main:close())
end

function tests.test_host_functions_may_call_the_library()
    local main = executor()
    local inner
    assert(main:host_function("g", function() return "never asked" end))
    assert(main:host_function("f", function(request)
        if not inner then
            inner = true
            return { within = assert(main:execute("ask")).output, by = request.from }
        end
        return "innermost"
    end))
    local reply = assert(main:execute("ask"))
    check.equal(json.encode(reply.output), '{"by":"the guest","within":"innermost"}')
    -- One that replaces itself, and one that closes its own executor.
    assert(main:host_function("f", function()
        assert(main:host_function("f", function() return "the second" end))
        collectgarbage()
        return "the first"
    end))
    check.equal(main:execute("ask").output, "the first")
    check.equal(main:execute("ask").output, "the second")
    local closed
    assert(main:host_function("f", function()
        closed = assert(main:close())
        return "closed"
    end))
    local output, err = main:execute("ask")
    check.equal(output, nil)
    check.equal(err.code, "unknown_executor")
    check.equal(err.message, ('the executor "%s" is closed'):format(main.id))
    check.equal(closed.executor, main.id)
end

-- LuaJIT has room for some hundreds of callbacks in all.
function tests.test_host_functions_are_no_limited_resource()
    local main = executor()
    for index = 1, 5000 do
        assert(main:host_function(index % 2 == 0 and "f" or "g", function() return index end))
    end
    check.equal(main:execute("ask").output, 5000)
    assert(main:close())
    local kept = setmetatable({}, { __mode = "k" })
    local function forget()
        local other = executor()
        local run = function() return other end
        kept[run] = true
        assert(other:host_function("f", run))
    end
    forget()
    collectgarbage()
    collectgarbage()
    check.equal(next(kept), nil)
end

function tests.test_executors_are_closed_when_they_are_collected()
    local id = executor().id
    collectgarbage()
    collectgarbage()
    local _, err = arawn.attach(id):execute("passthrough")
    check.equal(err.code, "unknown_executor")
    -- But not by those that have only attached.
    local main = executor()
    assert(arawn.attach(main.id):execute("passthrough"))
    collectgarbage()
    collectgarbage()
    assert(main:execute("passthrough"))
    assert(main:close())
end

-- 200 replies of a mebibyte, and as many errors with half of one.
function tests.test_replies_are_released()
    local main = executor()
    local missing = ("x"):rep(2 ^ 19)
    local function round()
        check.equal(#assert(main:execute("large")), 2 ^ 20)
        local _, err = arawn.call("poll", { executor = main.id, job = missing })
        check.equal(err.details.job, missing)
        collectgarbage()
    end
    for _ = 1, 10 do
        round()
    end
    local before = resident_bytes()
    for _ = 1, 200 do
        round()
    end
    local grown = resident_bytes() - before
    assert(grown < 50 * 2 ^ 20, ("grown by %d bytes"):format(grown))
    assert(main:close())
end

-- Calls under way end with the runtime that they began with; the next ones have the new one.
function tests.test_a_runtime_is_replaced_while_it_runs()
    local main = executor()
    local first, second = assert(os.getenv("ARAWN_FIRST")), assert(os.getenv("ARAWN_SECOND"))
    local function register(path)
        return assert(main:register("replaced", { path = path, replace = true })).sha256
    end
    local old, new = register(first), nil
    -- The first asks f, which is when the second takes its place.
    assert(main:host_function("f", function()
        new = register(second)
        check.equal(assert(main:execute("replaced")).output, "of the second")
        return "of the first"
    end))
    assert(main:host_function("g", function() return "of the second" end))
    local job = assert(main:submit("replaced", { meta = true }))
    check.equal(assert(job:wait()).output, "of the first")
    check.equal(job.reply.meta.module_sha256, old)
    assert(new ~= old)
    check.equal(main:inspect("replaced").sha256, new)
    assert(main:remove("replaced"))
    check.equal(select(2, main:execute("replaced")).code, "unknown_runtime")
    assert(main:close())
end

function tests.test_lines_of_stderr_are_told_before_the_reply()
    local main = assert(arawn.executor {
        runtimes_dir = RUNTIMES, cache_dir = json.null, stderr_to = "f", limits = { timeout_ms = 20000 },
        capabilities = { host_functions = json.array { "f" } },
    })
    local lines = {}
    assert(main:host_function("f", function(told)
        lines[#lines + 1] = told.runtime .. "/" .. told.job .. ": " .. told.line
    end))
    local job = assert(main:submit("writes", { job = "level-7" }))
    check.equal(assert(job:wait()), 1)
    check.equal(table.concat(lines, ", "), "writes/level-7: first, writes/level-7: last")
    assert(main:close())
    local _, err = arawn.executor { stderr_to = "g", capabilities = { host_functions = json.array { "f" } } }
    check.equal(err.details.path, "stderr_to")
end

function tests.test_a_registration_is_submitted()
    local main = executor()
    local entry = { path = assert(os.getenv("ARAWN_FIRST")), timeout_ms = 300000, job = "r-1" }
    local shown
    local job = assert(main:submit_registration("copy", entry, function(output) shown = output end))
    check.equal(job.name, "r-1")
    while not shown do
        assert(main:poll(1))
    end
    check.equal(shown.name, "copy")
    check.equal(select(2, assert(main:submit_registration("copy", entry)):wait()).code, "runtime_exists")
    entry.timeout_ms = 0
    check.equal(select(2, main:submit_registration("copy", entry)).details.path, "register.timeout_ms")
    check.raises("`executor`", main.submit_registration, main, "copy", { executor = "another" })
    assert(main:remove("copy"))
    assert(main:close())
end

function tests.test_a_script_is_registered()
    local main = executor()
    local entry = { script = "return function(i) return i.context.n * 2 end", language = "lua", replace = true }
    check.equal(assert(main:register("twice", entry)).kind, "script")
    check.equal(assert(main:execute("twice", { context = { n = 21 } })), 42)
    entry.script = "return\n  function("
    local _, err = main:register("twice", entry)
    check.equal(err.code, "script_invalid")
    check.equal(err.details.file .. ":" .. err.details.line, "twice.lua:2")
    check.equal(assert(main:execute("twice", { context = { n = 4 } })), 8)
    entry.script, entry.language = "export default () => 'new'", "javascript"
    check.equal(assert(assert(main:submit_registration("twice", entry)):wait()).language, "javascript")
    check.equal(assert(main:execute("twice")), "new")
    assert(main:remove("twice"))
    assert(main:close())
end

function tests.test_near_options_are_named()
    local main = executor()
    local near = "it has: config, context, job, limits, meta, raw. Did you mean `context`?"
    check.raises(near, main.execute, main, "passthrough", { contxt = {} })
    check.raises("Did you mean `limits`?", main.submit, main, "passthrough", { limit = {} })
    local misspelt = "a host function has no option `defered`; it has: deferred. Did you mean `deferred`?"
    check.raises(misspelt, main.host_function, main, "f", print, { defered = true })
    local _, err = main:register("r", { pth = "r.wasm" })
    assert(err.message:find("pth", 1, true) and err.message:find("path", 1, true), err.message)
    assert(main:close())
end

-- By both ways of execute: in one call where no host function is set, else by a job.
function tests.test_meta_and_raw_json()
    local main = executor()
    local document = '{"pi": 3.10, "large": 12345678901234567890123}'
    for _ = 1, 2 do
        local call = { context = json.raw(document), raw = true, meta = true }
        local output, err, meta = main:execute("passthrough", call)
        check.equal(output, '{"config":{},"context":' .. document .. "}")
        check.equal(err, nil)
        check.equal(meta.runtime, "passthrough")
        check.equal(meta.total_us, meta.load_us + meta.queue_us + meta.run_us)
        check.equal(select(3, main:execute("passthrough")), nil)
        local job = assert(main:submit("passthrough", call))
        check.equal(job:wait(), output)
        check.equal(select(3, job:wait()).runtime, "passthrough")
        check.equal(select(2, main:execute("fails", { raw = true })).message, "no luck")
        check.equal(main:execute("passthrough", { raw = true, context = { "]}\"\\" } }),
            '{"config":{},"context":["]}\\"\\\\"]}')
        assert(main:host_function("f", print))
    end
    check.raises("not JSON", json.raw, "1,2")
    check.raises("not JSON", json.raw, "")
    assert(main:close())
end

function tests.test_a_call_is_cancelled_by_its_name()
    local main = executor()
    check.equal(select(2, main:cancel("level-7")).code, "unknown_job")
    local job = assert(main:submit("loop", { job = "level-7" }))
    check.equal(main:cancel("level-7"), true)
    check.equal(select(2, job:wait()).code, "cancelled")
    assert(main:close())
end

function tests.test_a_module_is_registered_from_its_bytes()
    local main = executor()
    local file = assert(io.open(assert(os.getenv("ARAWN_FIRST")), "rb"))
    local bytes = file:read("*a")
    file:close()
    for length = 0, 5 do
        local expected = ({ [0] = "", "AA==", "AAE=", "AAEC", "AAECAw==", "AAECAwQ=" })[length]
        check.equal(json.base64(("\0\1\2\3\4"):sub(1, length)), expected)
    end
    check.equal(assert(main:register("bytes", { wasm = bytes })).bytes, #bytes)
    local job = assert(main:submit_registration("bytes", { wasm = bytes, replace = true }))
    check.equal(assert(job:wait()).bytes, #bytes)
    check.equal(select(2, main:register("text", { wasm = "no module" })).code, "module_invalid")
    assert(main:remove("bytes"))
    assert(main:close())
end

function tests.test_coroutines_await_jobs()
    local main = executor()
    local log, jobs = {}, {}
    local function add(value) log[#log + 1] = value end
    for index = 1, 5 do
        coroutine.wrap(function()
            jobs[index] = assert(main:submit("passthrough", { context = { index = index } }))
            add(assert(main:await(jobs[index])).context.index)
            local _, err = main:await(assert(main:submit("fails")))
            add(err.message)
        end)()
    end
    -- Two may await one job, and one that has ended is not waited for.
    coroutine.wrap(function()
        add(assert(main:await(jobs[1])).context.index)
        add(assert(main:await(jobs[1])).context.index)
    end)()
    check.equal(#log, 0)
    while #log < 12 do
        assert(main:poll(10))
    end
    table.sort(log, function(a, b) return tostring(a) < tostring(b) end)
    check.equal(table.concat(log, " "), "1 1 1 2 3 4 5 no luck no luck no luck no luck no luck")
    check.raises("await waits in a coroutine", main.await, main, jobs[1])
    -- job:wait takes the reply, and the coroutine goes on in the next poll.
    local job, seen = assert(main:submit("passthrough")), nil
    coroutine.wrap(function() seen = main:await(job) end)()
    assert(job:wait())
    check.equal(seen, nil)
    assert(main:poll(10))
    assert(seen)
    -- What one raises is passed on, and the others go on in the next poll.
    local went_on = 0
    for _, problem in ipairs { "first", "second" } do
        coroutine.wrap(function()
            main:await()
            went_on = went_on + 1
            error(problem, 0)
        end)()
    end
    check.raises("first", main.poll, main)
    check.raises("second", main.poll, main)
    check.equal(went_on, 2)
    check.equal(main:poll(), 0)
    -- The end of the executor is told.
    local codes = {}
    coroutine.wrap(function()
        codes[1] = select(2, main:await(assert(main:submit("loop")))).code
        main:await()
        codes[2] = select(2, main:await(assert(job))) == nil and "had ended"
    end)()
    assert(main:close())
    check.equal(table.concat(codes, ", "), "unknown_executor, had ended")
end

-- A deferred host function is a coroutine: other guests ask it while it waits.
function tests.test_deferred_host_functions()
    local main = executor()
    local inside, most = 0, 0
    assert(main:host_function("f", function(request)
        inside = inside + 1
        most = math.max(most, inside)
        -- So that all of them ask before the first one is answered.
        while most < 8 do
            main:await()
        end
        local output = assert(main:await(assert(main:submit("passthrough", { context = request }))))
        main:await()
        inside = inside - 1
        return output.context.from
    end, { deferred = true }))
    local jobs = {}
    for index = 1, 8 do
        jobs[index] = assert(main:submit("ask"))
    end
    for index = 1, 8 do
        while not jobs[index].reply do
            assert(main:poll(10))
        end
        check.equal(assert(jobs[index]:wait()).output, "the guest")
    end
    check.equal(most, 8)
    for expected, run in pairs {
        ['"output":"at once"'] = function() return "at once" end,
        ['"error":"no luck"'] = function() error("no luck", 0) end,
        ['"error":"later"'] = function() main:await() error("later", 0) end,
        ['"output":null'] = function() main:await() end,
        ["JSON has no function"] = function() main:await() return print end,
        ["not UTF-8"] = function() main:await() return "\255" end,
    } do
        assert(main:host_function("f", run, { deferred = true }))
        local job = assert(main:submit("ask", { raw = true }))
        while not job.reply do
            assert(main:poll(10))
        end
        local reply = assert(job:wait())
        assert(reply:find(expected, 1, true), reply)
    end
    -- The guest has a deadline, and a late answer reaches nobody.
    local late
    assert(main:host_function("f", function()
        while not late do
            main:await()
        end
        late = "answered"
    end, { deferred = true }))
    local job = assert(main:submit("ask", { limits = { timeout_ms = 50 } }))
    while not job.reply do
        assert(main:poll())
    end
    check.equal(select(2, job:wait()).code, "timeout")
    late = true
    assert(main:poll())
    check.equal(late, "answered")
    assert(main:close())
end

function tests.test_the_rest_of_the_interface()
    local _, err = arawn.configure { workers = 1 }
    check.equal(err.code, "invalid_config")
    local main = executor()
    local names = {}
    for _, runtime in ipairs(assert(main:runtimes())) do
        names[runtime.name] = runtime.category
    end
    check.equal(names.ask, "custom")
    check.equal(names.transform, "builtin")
    check.equal(main:stats().executor.executor, main.id)
    check.equal(arawn.stats().executor, nil)
    assert(arawn.stats().executors >= 1)
    assert(main:close())
end

assert(arawn.configure { workers = 2 })
-- The first executor of all is not closed by anybody but the end of the program.
left_open = executor()
check.run(tests)
