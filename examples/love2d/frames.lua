-- How long parts of frames take, in milliseconds, and how often.
local Frames = {}
Frames.__index = Frames

local BOUNDS_MS = { 0.25, 0.5, 1, 2, 4, 8, 16.6, 33 }

-- What the thread itself has waited for a processor, which others had: Linux tells it. Elsewhere 0.
local schedstat = io.open("/proc/thread-self/schedstat", "r")
if schedstat then
    schedstat:setvbuf("no")
end

function Frames.waited_ms()
    if not schedstat then
        return 0
    end
    schedstat:seek("set")
    local waited_ns = schedstat:read(100):match("^%d+ (%d+)")
    return tonumber(waited_ns) / 1e6
end

function Frames.new()
    return setmetatable({ counts = {}, slowest = 0, number = 0 }, Frames)
end

function Frames:add(ms)
    local bucket = 1
    while BOUNDS_MS[bucket] and ms >= BOUNDS_MS[bucket] do
        bucket = bucket + 1
    end
    self.counts[bucket] = (self.counts[bucket] or 0) + 1
    self.slowest = math.max(self.slowest, ms)
    self.number = self.number + 1
end

-- A line for each time that there was.
function Frames:histogram()
    local lines = {}
    for bucket = 1, #BOUNDS_MS + 1 do
        local count = self.counts[bucket]
        if count then
            local limit = BOUNDS_MS[bucket] or BOUNDS_MS[#BOUNDS_MS]
            local bound = ("%s %5.2f"):format(BOUNDS_MS[bucket] and "under" or "from ", limit)
            local bar = ("#"):rep(math.ceil(50 * count / self.number))
            lines[#lines + 1] = ("    %s ms  %6d  %s"):format(bound, count, bar)
        end
    end
    return table.concat(lines, "\n")
end

return Frames
