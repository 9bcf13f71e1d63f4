-- Hunt, a small game for LÖVE 11: collect the gems while enemies hunt you. What they think with is a sandboxed runtime
-- that you replace while the game runs: by the keys 1 to 3 with a module, brains/*.wasm, by 4 and 5 with a script,
-- brains/guard.lua and brains/moth.js, or by dropping a file of one of these kinds on the window.
--
-- The scripts are there to be edited, in the game's save directory, whose path the game shows. What you save decides
-- from the next call on. While it does not parse, the version before it decides, and the game shows file, line and
-- column.
--
--     make example-love2d
--
-- At its end it prints how long its frames took, and what of that libarawn took, together with the binding and with the
-- host functions:
--
--     900 frames in 15.0 s
--     frames: the slowest took 9.41 ms
--         under  4.00 ms     871  #################################################
--         under  8.00 ms      27  ##
--         under 16.60 ms       2  #
--     over 16.6 ms: 0, because of libarawn: 0, by libarawn alone: 0
--     libarawn: the slowest took 1.42 ms
--         under  0.50 ms     888  ##################################################
--         under  1.00 ms      11  #
--         under  2.00 ms       1  #
--     decisions: chaser 282, flock 97, guard 251, moth 98, moth.js 96; stale 0; timeout 18
--
-- With ARAWN_FRAMES=900 it plays by itself for so many frames, replaces the brain six times, edits one, and leaves a
-- picture of the last frame in screenshot.tga in its save directory.
--
-- world.lua is the game without LÖVE and brains, minds.lua the enemies' minds, scripts.lua those that are scripts,
-- catalog.lua the thread that registers brains, demo.lua the player of ARAWN_FRAMES, and frames.lua the measuring. The
-- binding is in bindings/lua. A game of your own has its two files beside main.lua, and not the next line.
package.path = love.filesystem.getSource() .. "/../../bindings/lua/?.lua;" .. package.path
local Demo = require "demo"
local Frames = require "frames"
local Minds = require "minds"
local Scripts = require "scripts"
local World = require "world"
local utf8 = require "utf8"

local FRAME_S = 1 / 60
local BRAINS = { "chaser", "flock", "stuck", "guard", "moth" }
local COLOURS = {
    chaser = { 0.95, 0.35, 0.3 }, flock = { 0.95, 0.7, 0.2 }, stuck = { 0.55, 0.6, 0.7 }, guard = { 0.6, 0.5, 0.95 },
    moth = { 0.9, 0.9, 0.75 },
}

local MOST_SHOWN = 400 -- Characters of what is wrong.

local TOO_SLOW_MS = 16.6

local frames, libarawn = Frames.new(), Frames.new()
-- Frames over TOO_SLOW_MS, those of them that would have been faster without libarawn, and those where it took as long alone.
local slow, slowed, alone = 0, 0, 0
local thinking_ms = 0
local world, minds, demo
local began_at

local function learn(name)
    local is_module = not Scripts.files[name]
    minds:learn(name, is_module and assert(love.filesystem.read("brains/" .. name .. ".wasm")) or nil)
end

local function begin()
    world = World.new(love.math.random)
    if minds then
        minds.world = world
    end
end

function love.load()
    local frames_asked = tonumber(os.getenv("ARAWN_FRAMES"))
    assert(love.filesystem.createDirectory("runtimes"))
    Scripts.install("runtimes")
    if frames_asked then
        demo = Demo.new(frames_asked, learn)
        love.errorhandler = Demo.fail
    end
    love.math.setRandomSeed(demo and 7 or os.time())
    begin()
    minds = Minds.new(world, love.filesystem.getSaveDirectory() .. "/runtimes")
    learn(BRAINS[1])
    -- A look at each script has its interpreter compiled before somebody wants it.
    for name in pairs(Scripts.files) do
        minds:ask_thread { name = name }
    end
end

function love.keypressed(key)
    if key == "escape" then
        love.event.quit()
    elseif key == "return" and world.lives == 0 then
        begin()
    elseif BRAINS[tonumber(key)] then
        learn(BRAINS[tonumber(key)])
    end
end

function love.filedropped(file)
    local bytes = file:open("r") and file:read()
    minds:learn(file:getFilename():match("([^/\\]*)$"), bytes or "")
end

function love.threaderror(_, text)
    error(text, 0)
end

local function wish()
    local function down(key, other, amount)
        return love.keyboard.isDown(key, other) and amount or 0
    end
    return down("left", "a", -1) + down("right", "d", 1), down("up", "w", -1) + down("down", "s", 1)
end

function love.update(dt)
    local before, waited = love.timer.getTime(), Frames.waited_ms()
    local learned = minds:learned()
    if demo then
        demo:frame(learned, minds)
    end
    minds:think()
    -- Without the time in which other threads had the processor that this one wanted.
    waited = Frames.waited_ms() - waited
    thinking_ms = (love.timer.getTime() - before) * 1000 - waited
    libarawn:add(thinking_ms)
    world:step(dt, (demo and demo.wish or wish)(world))
end

local function draw_hud()
    love.graphics.setColor(1, 1, 1)
    local state = ("gems %d   lives %d   brain %s"):format(world.score, world.lives, minds.name or "none yet")
    love.graphics.print(state, 12, 8)
    local keys = "arrows: go   1 to 5: chaser, flock, stuck, guard, moth   or drop a .wasm, .lua or .js file here"
    love.graphics.print(keys, 12, world.height - 22)
    local file = Scripts.files[minds.name]
    if file then
        local place = "edit " .. love.filesystem.getSaveDirectory() .. "/runtimes/brains/" .. file
        love.graphics.print(place, 12, world.height - 40)
    end
    local trouble = minds:trouble()
    if trouble then
        love.graphics.setColor(1, 0.5, 0.5)
        local beyond = utf8.offset(trouble, MOST_SHOWN + 1) or #trouble + 1
        love.graphics.printf(trouble:sub(1, beyond - 1), 12, 26, world.width - 24)
    end
    if world.lives == 0 then
        love.graphics.setColor(1, 1, 1)
        love.graphics.printf("They have got you. Press return.", 0, world.height / 2 - 8, world.width, "center")
    end
end

function love.draw()
    love.graphics.clear(0.09, 0.1, 0.13)
    love.graphics.setColor(0.3, 0.34, 0.42)
    for _, wall in ipairs(world.walls) do
        love.graphics.rectangle("fill", unpack(wall))
    end
    love.graphics.setColor(0.3, 0.85, 0.6)
    for _, gem in ipairs(world.gems) do
        love.graphics.polygon("fill", gem.x, gem.y - 7, gem.x + 6, gem.y, gem.x, gem.y + 7, gem.x - 6, gem.y)
    end
    local colour = COLOURS[minds.name] or { 0.8, 0.5, 0.9 }
    for _, enemy in ipairs(world.enemies) do
        love.graphics.setColor(colour)
        love.graphics.circle("fill", enemy.x, enemy.y, world.radius)
        love.graphics.setColor(0, 0, 0)
        love.graphics.circle("fill", enemy.x + enemy.vx * 0.05, enemy.y + enemy.vy * 0.05, 3)
    end
    if world.harmless == 0 or math.floor(world.harmless * 10) % 2 == 0 then
        love.graphics.setColor(0.4, 0.7, 1)
        love.graphics.circle("fill", world.player.x, world.player.y, world.radius)
    end
    draw_hud()
end

function love.quit()
    minds:close()
    local seconds = love.timer.getTime() - began_at
    print(("%d frames in %.1f s"):format(frames.number, seconds))
    print(("frames: the slowest took %.2f ms\n%s"):format(frames.slowest, frames:histogram()))
    local counts = "over %.1f ms: %d, because of libarawn: %d, by libarawn alone: %d"
    print(counts:format(TOO_SLOW_MS, slow, slowed, alone))
    print(("libarawn: the slowest took %.2f ms\n%s"):format(libarawn.slowest, libarawn:histogram()))
    print(("decisions: %s; stale %d; %s"):format(Demo.listed(minds.decisions), minds.stale, Demo.listed(minds.errors)))
end

-- LÖVE's own loop, but 60 times a second, and measured: a frame ends where it is shown, and then sleeps until the next.
function love.run()
    love.load()
    -- The first frame makes the driver compile its shaders, and is not counted.
    love.draw()
    love.graphics.present()
    began_at = love.timer.getTime()
    local due = began_at
    return function()
        local begun = love.timer.getTime()
        love.event.pump()
        for name, a, b, c in love.event.poll() do
            if name == "quit" then
                love.quit()
                return a or 0
            end
            love.handlers[name](a, b, c)
        end
        love.update(FRAME_S)
        love.graphics.origin()
        love.draw()
        if demo and demo:ends() then
            love.graphics.captureScreenshot("screenshot.tga")
            love.event.quit()
        end
        love.graphics.present()
        local ms = (love.timer.getTime() - begun) * 1000
        frames:add(ms)
        if ms > TOO_SLOW_MS then
            slow, slowed = slow + 1, slowed + (ms - thinking_ms <= TOO_SLOW_MS and 1 or 0)
            alone = alone + (thinking_ms > TOO_SLOW_MS and 1 or 0)
        end
        -- What a slow frame has lost is not made up for: that would only be more slow ones.
        due = math.max(due + FRAME_S, love.timer.getTime())
        love.timer.sleep(due - love.timer.getTime())
    end
end
