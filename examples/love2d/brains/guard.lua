-- Guards the place where it was woken: goes for a player that it sees within REACH pixels, and back again.
--
-- This file is a script in Lua. Save another version while the game runs, and the next decision is by that one. brain.h
-- has what a brain is given, what it answers and what it may ask.
local REACH = 280

local function direction(from_x, from_y, to_x, to_y)
    return { to_x - from_x, to_y - from_y }
end

return function(input)
    local player, enemies = input.context.player, input.context.enemies
    local points, decisions = {}, {}
    for index, enemy in ipairs(enemies) do
        points[index] = { enemy.x, enemy.y }
    end
    local seen = arawn.call("world.visible", { points = points })
    for index, enemy in ipairs(enemies) do
        -- What it remembers is where it was at first.
        local home = enemy.memory[1] ~= 0 and enemy.memory or { enemy.x, enemy.y }
        local go = direction(enemy.x, enemy.y, player.x, player.y)
        if not seen[index] or go[1] ^ 2 + go[2] ^ 2 > REACH ^ 2 then
            go = direction(enemy.x, enemy.y, home[1], home[2])
            -- At home it stays, and does not tremble.
            go = go[1] ^ 2 + go[2] ^ 2 > 9 and go or { 0, 0 }
        end
        decisions[index] = { go = go, memory = home }
    end
    return { enemies = decisions }
end
