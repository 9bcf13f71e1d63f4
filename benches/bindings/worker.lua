-- For each line on stdin: medians of so many calls in microseconds, without a host function and with one.
package.path = "bindings/lua/?.lua;" .. package.path
local ffi = require "ffi"
local arawn = require "arawn"

ffi.cdef [[
struct bench_timespec { long seconds, nanoseconds; };
int clock_gettime(int clock, struct bench_timespec *time);
]]
local time = ffi.new "struct bench_timespec"
local function now()
    ffi.C.clock_gettime(1, time)
    return tonumber(time.seconds) * 1e6 + tonumber(time.nanoseconds) / 1e3
end

local plain = assert(arawn.executor {})
local asked = assert(arawn.executor { capabilities = { host_functions = arawn.json.array { "level" } } })
assert(asked:host_function("level", function() return 1 end))

local function median(executor, calls)
    local times = {}
    for i = 1, calls do
        local begun = now()
        assert(executor:execute("passthrough", { config = {}, context = { name = "Ada", count = 3 } }))
        times[i] = now() - begun
    end
    table.sort(times)
    return times[math.floor(calls / 2) + 1]
end

for line in io.lines() do
    local calls = tonumber(line)
    print(("{\"execute\": %.3f, \"execute, with a host function set\": %.3f}"):format(median(plain, calls), median(asked, calls)))
    io.flush()
end
