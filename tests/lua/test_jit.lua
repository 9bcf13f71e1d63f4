-- bindings/lua/arawn.lua in a loop that LuaJIT compiles, in a state of its own, where nothing has run before:
-- compiled code that called what calls back into Lua would end the process with "bad callback".
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

check.run(tests)
