-- examples/love2d/scripts.lua and minds.lua with brains that are scripts, in ARAWN_RUNTIMES/brains, which are edited while
-- they decide.
local check = require "check"
local Minds = require "minds"
local Scripts = require "scripts"
local World = require "world"

local RUNTIMES = assert(os.getenv("ARAWN_RUNTIMES"))
local tests = {}

local function write(path, text)
    local file = assert(io.open(RUNTIMES .. "/" .. path, "wb"))
    file:write(text)
    file:close()
end

local function save(name, text)
    write("brains/" .. Scripts.files[name], text)
end

local function saved(name)
    local file = assert(io.open(RUNTIMES .. "/brains/" .. Scripts.files[name], "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

-- What the thread does, which only LÖVE has.
local function look(minds, name)
    return minds:told(Scripts.look(minds.executor, name))
end

-- A game in which one enemy sees the player, and another one does not.
local function game(name)
    local world = World.new(math.random)
    local minds = Minds.new(world, RUNTIMES)
    world.enemies[1].x, world.enemies[1].y = 480, 200
    world.enemies[2].x, world.enemies[2].y = 20, 20
    minds.learning = name
    check.equal(look(minds, name), name)
    return minds, world.enemies
end

-- The next decision, or what it has met. A busy machine may let one miss its deadline.
local function decide(minds)
    local newest, late = minds.newest, nil
    for _ = 1, 50 do
        minds:think()
        while minds.under_way > 0 do
            assert(minds.executor:poll(1))
        end
        late = minds.newest == newest and (minds.problem or ""):find("^timeout")
        if not late then
            return
        end
    end
    error(minds.problem)
end

local function near(actual, expected)
    assert(math.abs(actual - expected) < 0.01, ("%g is not %g"):format(actual, expected))
end

function tests.test_the_scripts_that_come_with_the_game()
    local minds, enemies = game("guard")
    decide(minds)
    near(enemies[1].go[1], 0)
    near(enemies[1].go[2], 70)
    near(enemies[2].go[1], 0)
    check.equal(enemies[2].memory[1], 20)
    -- What has left its place goes back.
    enemies[2].x = 60
    decide(minds)
    near(enemies[2].go[1], -40)
    check.equal(minds.decisions.guard, 2)
    minds.learning = "moth"
    check.equal(look(minds, "moth"), "moth")
    decide(minds)
    near(enemies[1].go[1], 70)
    near(enemies[1].go[2], -70 * 40 / 110)
    check.equal(minds.decisions.moth, 1)
    check.equal(minds:trouble(), nil)
    minds:close()
end

local ALWAYS = {
    guard = [[return function(input)
    local decisions = {}
    for index, enemy in ipairs(input.context.enemies) do
        decisions[index] = { go = { VALUE, 0 }, memory = enemy.memory }
    end
    return { enemies = decisions }
end
]],
    moth = [[export default ({ context }) =>
  ({ enemies: context.enemies.map(({ memory }) => ({ go: [VALUE, 0], memory })) });
]],
}
local BROKEN = {
    guard = { "return function(input)\n  retrun 1\nend\n", "guard.lua:2:10: " },
    moth = { "export default () => {\n  retrun 1;\n};\n", "moth.js:2:10: " },
}

function tests.test_what_is_saved_decides_next()
    for name, always in pairs(ALWAYS) do
        local before = saved(name)
        local minds, enemies = game(name)
        local versions = {}
        for value = 1, 3 do
            save(name, (always:gsub("VALUE", value)))
            decide(minds)
            check.equal(enemies[1].go[1], value)
            assert(not versions[minds.version])
            versions[minds.version] = true
        end
        save(name, before)
        minds:close()
    end
end

function tests.test_a_broken_edit_is_shown_until_it_is_mended()
    for name, always in pairs(ALWAYS) do
        local before = saved(name)
        local minds, enemies = game(name)
        local text, place = BROKEN[name][1], BROKEN[name][2]
        -- Mended by another text, and by the one that was there.
        for value, mended in ipairs { 2, 2, 3 } do
            save(name, (always:gsub("VALUE", value)))
            decide(minds)
            save(name, text)
            local version = minds.version
            decide(minds)
            check.equal(enemies[1].go[1], value)
            check.equal(minds.version, version)
            look(minds, name)
            assert(minds:trouble():find(place, 1, true), minds:trouble())
            decide(minds)
            assert(minds:trouble():find(place, 1, true), minds:trouble())
            save(name, (always:gsub("VALUE", mended)))
            decide(minds)
            check.equal(enemies[1].go[1], mended)
            look(minds, name)
            check.equal(minds:trouble(), nil)
        end
        save(name, before)
        minds:close()
    end
end

function tests.test_what_only_shows_when_it_runs_is_shown_too()
    local before = saved("guard")
    local minds, enemies = game("guard")
    decide(minds)
    local go = enemies[1].go
    save("guard", "return function(input)\n  return input.contxt.enemies\nend\n")
    decide(minds)
    assert(minds:trouble():find("runtime_error: guard.lua:2:", 1, true), minds:trouble())
    check.equal(enemies[1].go, go)
    check.equal(minds.errors.runtime_error, 1)
    save("guard", before)
    decide(minds)
    check.equal(minds:trouble(), nil)
    minds:close()
end

function tests.test_answers_that_come_late_or_are_none()
    local minds = game("guard")
    minds.learning = "moth"
    check.equal(minds:told { name = "moth", problem = "no such luck" }, nil)
    check.equal(minds.name .. minds:trouble(), "guardno such luck")
    check.equal(minds:told { name = "moth", runtime = "moth", problem = "too late" }, nil)
    check.equal(minds.name .. minds:trouble(), "guardno such luck")
    local unknown = Scripts.look(minds.executor, "nobody")
    check.equal(unknown.runtime, nil)
    assert(unknown.problem:find("^unknown_runtime: "), unknown.problem)
    minds:close()
end

function tests.test_the_catalog_has_an_entry_for_each()
    local listed = Scripts.listed("")
    check.equal(Scripts.listed(listed), listed)
    local other = '[runtimes.brain]\npath = "custom/brain.wasm"\n'
    check.equal(Scripts.listed(other), other .. listed)
    for name, language in pairs { ["a.lua"] = "lua", ["a.js"] = "javascript", ["a.mjs"] = "javascript" } do
        check.equal(Scripts.language(name), language)
    end
    check.equal(Scripts.language("lua.wasm"), nil)
end

write("catalog.toml", Scripts.listed(""))
check.run(tests)
