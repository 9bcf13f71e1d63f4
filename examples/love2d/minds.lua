-- What the enemies think with: a runtime in a sandbox, which is asked once a frame and may be replaced at any time. It
-- is named `brain`, or as one of the scripts of scripts.lua. See brains/brain.h for what it is given and what it answers.
--
-- A decision takes some frames, since each question of the brain is answered in the next one; so several are under way.
local arawn = require "arawn"
local json = arawn.json

local Minds = {}
Minds.__index = Minds

local MOST_UNDER_WAY = 4
local DEADLINE_MS = 250
local MOST_RAYS = 512 -- A question's time is the frame's, so a brain must not ask too much.
local LOOK_FRAMES = 20 -- How often the file of a script is looked at.

local function asked(list)
    if type(list) ~= "table" or #list > MOST_RAYS then
        error("the question must have a list of at most " .. MOST_RAYS, 0)
    end
    return ipairs(list)
end

local function is_pair(value)
    return type(value) == "table" and type(value[1]) == "number" and type(value[2]) == "number"
end

-- `runtimes_dir` is where the catalog is.
function Minds.new(world, runtimes_dir)
    -- The game has a thread, and its driver: one worker is enough for brains.
    arawn.configure { workers = 1 }
    local executor = assert(arawn.executor {
        runtimes_dir = runtimes_dir,
        limits = { timeout_ms = 30000, memory_bytes = 2 ^ 22, output_bytes = 65536 },
        capabilities = { host_functions = json.array { "world.visible", "world.ray" } },
    })
    -- `brains` has those learnt: scripts by their names, and others by the SHA-256 of what was registered.
    local self = setmetatable({
        world = world, executor = executor, frame = 0, newest = 0, under_way = 0, brains = {}, generation = 0,
        decisions = {}, errors = {}, stale = 0,
    }, Minds)
    -- Both take lists, so that a brain needs few questions.
    assert(executor:host_function("world.visible", function(request)
        local seen = json.array {}
        for index, point in asked(request.points) do
            seen[index] = self.world:sees(point[1], point[2])
        end
        return seen
    end))
    assert(executor:host_function("world.ray", function(request)
        local distances = json.array {}
        for index, ray in asked(request.rays) do
            distances[index] = math.floor(self.world:ray(unpack(ray, 1, 4)) * 10) / 10
        end
        return distances
    end))
    return self
end

-- The thread of catalog.lua, which answers in a later frame.
function Minds:ask_thread(question)
    if not self.thread then
        self.thread = love.thread.newThread("catalog.lua")
        self.thread:start(self.executor.id)
    end
    love.thread.getChannel("asked"):push(question)
end

-- Another thread registers `bytes` as the brain, or looks at the script of that name; here the compiler would take
-- frames. The calls under way end with the brain that they began with.
function Minds:learn(name, bytes)
    if not self.learning then
        self.learning, self.refused = name, nil
        self:ask_thread { name = name, bytes = bytes }
    end
end

-- Once a frame: the name of a brain that has just been learnt. Now and then it looks at the file of the script.
function Minds:learned()
    if self.name and self.name == self.runtime and not self.learning and self.frame % LOOK_FRAMES == 0 then
        self:ask_thread { name = self.name }
    end
    local answer = love.thread.getChannel("told"):pop()
    return answer and self:told(answer)
end

-- Takes an answer of the thread.
function Minds:told(answer)
    if answer.name ~= self.learning then
        -- Of a script that does not decide any more it is late.
        if answer.name == self.runtime then
            self.broken = answer.problem
        end
        return nil
    end
    self.learning = nil
    if not answer.runtime then
        self.refused = answer.problem
        return nil
    end
    self.name, self.runtime, self.generation = answer.name, answer.runtime, self.generation + 1
    self.broken, self.version = answer.problem, nil
    self.brains[answer.sha256 or answer.runtime] = { name = answer.name, generation = self.generation }
    for _, enemy in ipairs(self.world.enemies) do
        enemy.memory = { 0, 0 }
    end
    return answer.name
end

-- What the player should know: that an edit does not parse, that a brain was refused, or what the last call met.
function Minds:trouble()
    return self.broken or self.refused or self.problem
end

local function count(counts, name)
    counts[name] = (counts[name] or 0) + 1
end

-- A brain is somebody else's: its answer may be anything.
function Minds:decided(call, output, err, meta)
    self.under_way = self.under_way - 1
    if not err and not (type(output) == "table" and type(output.enemies) == "table") then
        err = { code = "no decision", message = "the brain's answer has no enemies" }
    end
    if err then
        count(self.errors, err.code)
        self.problem = err.code .. ": " .. err.message
        return
    end
    -- Of one that is unknown the thread has not told yet.
    local brain = self.brains[meta.runtime] or self.brains[meta.script_sha256 or meta.module_sha256]
        or { name = self.learning, generation = self.generation + 1 }
    count(self.decisions, brain.name)
    if brain.generation < call.generation then
        self.stale = self.stale + 1
    end
    -- What began before the last one, but ended after it, is of yesterday.
    if call.frame < self.newest then
        return
    end
    self.newest, self.problem = call.frame, nil
    if brain.generation == self.generation then
        self.version = meta.script_sha256
    end
    for index, enemy in ipairs(call.enemies) do
        local decision = output.enemies[index]
        if type(decision) == "table" and is_pair(decision.go) and is_pair(decision.memory) then
            enemy.go = decision.go
            enemy.memory = brain.generation == self.generation and decision.memory or enemy.memory
        end
    end
end

-- Once a frame: takes the decisions, answers the questions, and begins the next decision.
function Minds:think()
    self.frame = self.frame + 1
    assert(self.executor:poll())
    if not self.name or self.under_way >= MOST_UNDER_WAY then
        return
    end
    local world, player = self.world, self.world.player
    local call = { frame = self.frame, generation = self.generation, enemies = {} }
    local enemies = json.array {}
    for index, enemy in ipairs(world.enemies) do
        call.enemies[index] = enemy
        enemies[index] = { x = enemy.x, y = enemy.y, vx = enemy.vx, vy = enemy.vy, memory = enemy.memory }
    end
    assert(self.executor:submit(self.runtime, {
        config = { width = world.width, height = world.height, speed = world.speed, player_speed = world.player_speed },
        context = { player = { x = player.x, y = player.y, vx = player.vx, vy = player.vy }, enemies = enemies },
        limits = { timeout_ms = DEADLINE_MS }, meta = true,
    }, function(output, err, meta)
        self:decided(call, output, err, meta)
    end))
    self.under_way = self.under_way + 1
end

-- When this returns no guest asks anything any more.
function Minds:close()
    assert(self.executor:close())
    if self.thread then
        love.thread.getChannel("asked"):push { over = true }
        self.thread:wait()
    end
end

return Minds
