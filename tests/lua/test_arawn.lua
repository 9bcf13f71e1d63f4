-- examples/love2d/arawn.lua, with guests from ARAWN_RUNTIMES: `loop` never ends, `fails` says no luck, `ask` calls the
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
        function() return first:update() end,
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
    check.raises("is closed", function() assert(first:update()) end)
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
            local expected = ("a call has no option `%s`; it has: config, context, job, limits, meta"):format(option)
            check.raises(expected, run, main, "passthrough", call)
        end
    end
    local _, err = main:execute("passthrough", { limits = { timeout = 1 } })
    check.equal(err.code, "invalid_request")
    assert(err.error:find("timeout", 1, true) and err.error:find("timeout_ms", 1, true), err.error)
    _, err = arawn.executor { limit = {} }
    check.equal(err.code, "invalid_config")
    check.raises("`executor`", main.register, main, "r", { executor = "another" })
    check.raises("`name`", main.register, main, "r", { name = "another" })
    for _, name in ipairs { "free", "string_new", "version", "host_function_set", "nothing" } do
        check.raises(("arawn_%s is not called so; these are: cancel, "):format(name), arawn.call, name, {})
    end
    check.raises("keeps this thread", arawn.call, "execute_runtime", { executor = main.id, runtime = "passthrough" })
    assert(main:close())
end

-- Every function of the header that takes JSON and returns JSON, but the one that blocks.
function tests.test_what_is_called_by_name()
    local file = assert(io.open(assert(os.getenv("ARAWN_HEADER"))))
    for name in file:read("*a"):gmatch("\nchar %*arawn_([%l_]+)%(const char %*[%l_]+%);") do
        if name ~= "string_new" and name ~= "execute_runtime" then
            local _, err = arawn.call(name, { no_such_key = 1 })
            assert(err and err.error:find("no_such_key", 1, true), name)
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
    local again = require "love2d.arawn"
    package.path = places
    check.equal(package.loaded["love2d.arawn_json"], again.json)
end

function tests.test_update_hands_out_what_has_ended()
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
        outputs.failed = err.error
    end))
    local count = 0
    while count < 21 do
        count = count + assert(main:update(10))
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
        check.raises("job " .. index, main.update, main)
        check.equal(#ended, index)
    end
    check.equal(main:update(), 0)
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
    check.equal(err.error, ('the executor "%s" is closed'):format(main.id))
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
        assert(main:update(1))
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
    assert(main:close())
end

assert(arawn.configure { workers = 2 })
-- The first executor of all is not closed by anybody but the end of the program.
left_open = executor()
check.run(tests)
