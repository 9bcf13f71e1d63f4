-- examples/love2d/minds.lua with brains that nobody should write, from ARAWN_RUNTIMES: their enemies go on as before,
-- and the game with them.
local check = require "check"
local Minds = require "minds"
local World = require "world"

local RUNTIMES = assert(os.getenv("ARAWN_RUNTIMES"))
local tests = {}

-- What has become of one decision of a brain.
local function decided_by(brain)
    local minds = Minds.new(World.new(math.random), RUNTIMES)
    -- What the thread does, which only LÖVE has.
    local shown = assert(minds.executor:register("brain", { module_of = brain, replace = true }))
    minds.learning = brain
    check.equal(minds:told { name = brain, runtime = "brain", sha256 = shown.sha256 }, brain)
    minds:think()
    while minds.under_way > 0 do
        minds.executor:poll(1)
    end
    minds:close()
    return minds, minds.world.enemies
end

function tests.test_answers_of_any_shape()
    for brain, problem in pairs {
        null = "no decision: the brain's answer has no enemies",
        word = "no decision: the brain's answer has no enemies",
        fails = "runtime_error: no luck",
        traps = "trap: ",
    } do
        local minds, enemies = decided_by(brain)
        check.equal(minds.problem:sub(1, #problem), problem)
        check.equal(enemies[1].go[1], 0)
        check.equal(next(minds.decisions), nil)
    end
    local minds, enemies = decided_by("mixed")
    check.equal(minds.problem, nil)
    check.equal(minds.decisions.mixed, 1)
    for index, x in ipairs { 0, 0, 0, 5, 0 } do
        check.equal(enemies[index].go[1], x)
    end
end

function tests.test_questions_of_any_shape_are_errors_for_the_brain()
    local minds = Minds.new(World.new(math.random), RUNTIMES)
    for brain, problem in pairs {
        no_rays = "attempt to index",
        not_rays = "bad argument",
        many_rays = "a list of at most 512",
    } do
        local reply = assert(minds.executor:execute(brain))
        check.equal(reply.status, "error")
        assert(reply.error:find(problem, 1, true), reply.error)
    end
    check.equal(#assert(minds.executor:execute("rays")).output, 2)
    minds:close()
end

check.run(tests)
