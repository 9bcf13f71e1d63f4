-- Plays by itself for a number of frames, replaces the brain six times and edits one: for the test, and to look on.
local Scripts = require "scripts"

local Demo = {}
Demo.__index = Demo

-- A name with a dot is a file that is dropped on the window.
local PLAN = { "flock", "stuck", "guard", "moth", "moth.js", "chaser" }

-- What is saved as the guard's script, one after the other, and whether the game has noticed.
local EDITS = {
    {
        name = "edited",
        change = function(text) return (text:gsub("REACH = %d+", "REACH = 2000")) end,
        is_noticed = function(minds, version) return minds.version ~= version end,
    },
    {
        name = "broken",
        change = function(text) return (text:gsub("return function", "retrun function")) end,
        is_noticed = function(minds) return minds.broken end,
    },
    {
        name = "mended",
        change = function(text) return (text:gsub("retrun function", "return function")) end,
        is_noticed = function(minds) return not minds.broken end,
    },
}

-- `learn(name)` asks for a brain; for the first one somebody else has.
function Demo.new(frames, learn)
    return setmetatable({ frames = frames, learn = learn, count = 0, asked = 0, edits = 0 }, Demo)
end

function Demo:say(...)
    print(("frame %d: "):format(self.count) .. string.format(...))
end

-- Edits the guard's script as players do, while it decides; true once that is done.
function Demo:edit(minds)
    local edit = EDITS[self.edits]
    if edit and not edit.is_noticed(minds, self.version) then
        return false
    elseif edit then
        self:say("guard %s%s", edit.name, (minds.broken or ""):match(" guard%.lua:%d+:%d+") or "")
    end
    self.edits = self.edits + 1
    edit = EDITS[self.edits]
    if edit then
        local path = "runtimes/brains/" .. Scripts.files.guard
        self.version = minds.version
        assert(love.filesystem.write(path, edit.change(assert(love.filesystem.read(path)))))
    end
    return not edit
end

-- Each brain has a part of the frames from when it was learnt, and the last one what is left.
function Demo:frame(learned, minds)
    self.count = self.count + 1
    if learned then
        self:say("%s", learned)
        self.learned_at = self.count
    end
    local next_brain = PLAN[self.asked + 1]
    if next_brain and self.learned_at and self.count - self.learned_at >= self.frames / (#PLAN + 6) then
        if minds.name == "guard" and self.edits <= #EDITS and not self:edit(minds) then
            return
        end
        self.asked, self.learned_at = self.asked + 1, nil
        if next_brain:find(".", 1, true) then
            love.event.push("filedropped", love.filesystem.newFile("brains/" .. next_brain))
        else
            self.learn(next_brain)
        end
    end
end

-- Instead of LÖVE's error screen, where nobody looks at it.
function Demo.fail(text)
    print(debug.traceback(tostring(text), 2))
    return function()
        return 1
    end
end

function Demo:ends()
    return self.count == self.frames
end

-- Where somebody goes who wants the nearest gem, and to stay alive: the best of eight directions.
function Demo.wish(world)
    local player, best, best_x, best_y = world.player, -math.huge, 0, 0
    local gem, nearest = nil, math.huge
    for _, other in ipairs(world.gems) do
        local distance = math.sqrt((other.x - player.x) ^ 2 + (other.y - player.y) ^ 2)
        if distance < nearest then
            gem, nearest = other, distance
        end
    end
    for index = 0, 7 do
        local dx, dy = math.cos(index * math.pi / 4), math.sin(index * math.pi / 4)
        local worth = ((gem.x - player.x) * dx + (gem.y - player.y) * dy) / (nearest + 1)
        worth = worth + 0.3 * (player.vx * dx + player.vy * dy) / world.player_speed
        for _, enemy in ipairs(world.enemies) do
            local ex, ey = enemy.x - player.x, enemy.y - player.y
            local distance = math.sqrt(ex * ex + ey * ey)
            if distance < 90 then
                worth = worth - 2 * (ex * dx + ey * dy) / (distance + 1) * (1 - distance / 90)
            end
        end
        if world:ray(player.x, player.y, dx, dy) > 16 and worth > best then
            best, best_x, best_y = worth, dx, dy
        end
    end
    return best_x, best_y
end

-- { flock = 2, chaser = 1 } as "chaser 1, flock 2".
function Demo.listed(counts)
    local parts = {}
    for name, count in pairs(counts) do
        parts[#parts + 1] = ("%s %d"):format(name, count)
    end
    table.sort(parts)
    return parts[1] and table.concat(parts, ", ") or "none"
end

return Demo
