-- examples/love2d/world.lua
local check = require "check"
local World = require "world"

local tests = {}

local function world()
    math.randomseed(3)
    return World.new(math.random)
end

local function near(actual, expected)
    assert(math.abs(actual - expected) < 1e-6, ("%s is not %s"):format(actual, expected))
end

function tests.test_rays_end_at_walls_and_at_the_border()
    local w = world()
    w.walls = { { 100, 100, 50, 20 } }
    near(w:ray(50, 110, 1, 0), 50)
    near(w:ray(50, 110, 7, 0), 50)
    near(w:ray(200, 110, -1, 0), 50)
    near(w:ray(125, 50, 0, 2), 50)
    near(w:ray(125, 200, 0, -1), 80)
    near(w:ray(50, 50, 1, 1), 50 * math.sqrt(2))
    near(w:ray(50, 99, 1, 0), 910)
    near(w:ray(50, 110, -1, 0), 50)
    near(w:ray(480, 270, 0, 1), 270)
    near(w:ray(110, 110, 1, 0), 0)
    check.equal(w:ray(50, 50, 0, 0), 0)
end

function tests.test_who_sees_the_player()
    local w = world()
    w.walls = { { 100, 100, 50, 20 } }
    w.player.x, w.player.y = 125, 200
    check.equal(w:sees(125, 50), false)
    check.equal(w:sees(300, 50), true)
    check.equal(w:sees(125, 150), true)
    check.equal(w:sees(125, 200), true)
end

function tests.test_nobody_gets_into_a_wall()
    local w = world()
    for step = 1, 5000 do
        if step % 20 == 1 then
            for _, enemy in ipairs(w.enemies) do
                enemy.go = { math.random(-9, 9), math.random(-9, 9) }
            end
        end
        w.lives = 3
        w:step(1 / 60, math.random(-1, 1), math.random(-1, 1))
        for _, body in ipairs { w.player, unpack(w.enemies) } do
            check.equal(w:blocked(body.x, body.y), false)
        end
    end
end

function tests.test_touches_cost_lives_and_gems_are_collected()
    local w = world()
    local gem, enemy = w.gems[1], w.enemies[1]
    gem.x, gem.y = w.player.x + 5, w.player.y
    check.equal(w:step(1 / 60, 0, 0), true)
    check.equal(w.score, 1)
    check.equal(#w.gems, 9)
    for lives = 2, 0, -1 do
        w.harmless = 0
        enemy.x, enemy.y = w.player.x, w.player.y
        w:step(1 / 60, 0, 0)
        w:step(1 / 60, 0, 0)
        check.equal(w.lives, lives)
    end
    check.equal(w:step(1 / 60, 0, 0), false)
    w = world()
    w.gems = { { x = w.player.x, y = w.player.y } }
    w:step(1 / 60, 0, 0)
    check.equal(#w.gems, 10)
    check.equal(#w.enemies, 10)
end

check.run(tests)
