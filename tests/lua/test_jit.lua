-- bindings/lua/arawn.lua in loops that LuaJIT compiles, in a state of its own, where nothing has run before. Compiled
-- code that called what calls back into Lua would end the process with "bad callback"; and a library that looked at the
-- frames of compiled code, where it stops a guest, would end the process without a word.
local ffi = require "ffi"
ffi.cdef "int setenv(const char *name, const char *value, int overwrite);"
-- With this, Rust programs may look at the stack where an error is made.
assert(ffi.C.setenv("RUST_BACKTRACE", "1", 1) == 0)
local arawn = require "arawn"
local check = require "check"

local tests = {}

function tests.test_polling_loops_may_be_hot()
    local main = assert(arawn.executor {
        runtimes_dir = os.getenv("ARAWN_RUNTIMES"), cache_dir = arawn.json.null,
        capabilities = { host_functions = arawn.json.array { "f" } },
    })
    local asked = 0
    assert(main:host_function("f", function()
        asked = asked + 1
        return asked
    end))
    for round = 1, 3000 do
        local job = assert(main:submit("ask"))
        while not job.reply do
            assert(main:poll())
        end
        check.equal(job.reply.output.output, round)
    end
    assert(main:close())
end

function tests.test_guests_may_be_stopped_where_the_loop_is_hot()
    local main = assert(arawn.executor { cache_dir = arawn.json.null, limits = { timeout_ms = 300000 } })
    local script = "return function(input) while input.context.endless do end return 1 end"
    local config = { script = script }
    local step = { name = "only", runtime = "lua", config = config }
    for _, execute in ipairs {
        function(options) return main:execute("lua", options) end,
        function(options)
            return main:execute_pipeline({ steps = { step } }, { context = options.context, limits = options.limits })
        end,
    } do
        local options = { config = config, context = {} }
        for _ = 1, 300 do
            check.equal(assert(execute(options)), 1)
        end
        options.context, options.limits = { endless = true }, { timeout_ms = 50 }
        for _ = 1, 5 do
            check.equal(select(2, execute(options)).code, "timeout")
        end
    end
    assert(main:close())
end

check.run(tests)
