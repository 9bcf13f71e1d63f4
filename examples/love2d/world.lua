-- The world: a field with walls, a player who collects gems, and enemies who go where they were last told to. It knows
-- nothing of LÖVE or of brains. Places are in pixels from the top left, speeds in pixels a second.
local World = {}
World.__index = World

local RADIUS = 9
local HARMLESS_S = 2 -- After a touch the player cannot be touched for so long.

local WALLS = {
    { 150, 90, 160, 20 }, { 150, 90, 20, 130 }, { 430, 60, 20, 160 }, { 560, 130, 220, 20 }, { 760, 130, 20, 150 },
    { 110, 330, 20, 130 }, { 230, 270, 180, 20 }, { 390, 290, 20, 140 }, { 520, 300, 20, 170 }, { 620, 400, 190, 20 },
}

-- `random(low, high)` gives an integer; with the same one the same world comes about.
function World.new(random)
    local self = setmetatable({
        width = 960, height = 540, speed = 95, player_speed = 150, radius = RADIUS, walls = WALLS, random = random,
        player = { x = 480, y = 270, vx = 0, vy = 0 }, enemies = {}, gems = {},
        score = 0, lives = 3, harmless = HARMLESS_S,
    }, World)
    self:next_wave(8)
    return self
end

function World:blocked(x, y)
    if x < RADIUS or y < RADIUS or x > self.width - RADIUS or y > self.height - RADIUS then
        return true
    end
    for _, wall in ipairs(self.walls) do
        if x > wall[1] - RADIUS and x < wall[1] + wall[3] + RADIUS
            and y > wall[2] - RADIUS and y < wall[2] + wall[4] + RADIUS then
            return true
        end
    end
    return false
end

-- Where nothing stands, and not within `far` pixels of the player.
function World:free_place(far)
    while true do
        local x, y = self.random(20, self.width - 20), self.random(20, self.height - 20)
        local dx, dy = x - self.player.x, y - self.player.y
        if not self:blocked(x, y) and dx * dx + dy * dy > far * far then
            return x, y
        end
    end
end

function World:next_wave(enemies)
    for index = #self.enemies + 1, math.min(enemies, 24) do
        local x, y = self:free_place(250)
        self.enemies[index] = { x = x, y = y, vx = 0, vy = 0, go = { 0, 0 }, memory = { 0, 0 } }
    end
    for index = 1, 10 do
        local x, y = self:free_place(60)
        self.gems[index] = { x = x, y = y }
    end
end

-- How far it is from a point to a wall or the border in a direction; the direction need not be of length 1.
function World:ray(x, y, dx, dy)
    local length = math.sqrt(dx * dx + dy * dy)
    if length == 0 then
        return 0
    end
    dx, dy = dx / length, dy / length
    -- By the border first, from within; then by what each wall's two pairs of sides have in common.
    local nearest = math.min(
        dx > 0 and (self.width - x) / dx or dx < 0 and -x / dx or math.huge,
        dy > 0 and (self.height - y) / dy or dy < 0 and -y / dy or math.huge
    )
    for _, wall in ipairs(self.walls) do
        local x1, x2 = (wall[1] - x) / dx, (wall[1] + wall[3] - x) / dx
        local y1, y2 = (wall[2] - y) / dy, (wall[2] + wall[4] - y) / dy
        -- A ray along an axis is between two sides everywhere or nowhere.
        if dx == 0 then
            local inside = x > wall[1] and x < wall[1] + wall[3]
            x1, x2 = inside and -math.huge or math.huge, inside and math.huge or -math.huge
        end
        if dy == 0 then
            local inside = y > wall[2] and y < wall[2] + wall[4]
            y1, y2 = inside and -math.huge or math.huge, inside and math.huge or -math.huge
        end
        local enters = dx == 0 and x1 or math.min(x1, x2)
        local leaves = dx == 0 and x2 or math.max(x1, x2)
        enters = math.max(enters, dy == 0 and y1 or math.min(y1, y2))
        leaves = math.min(leaves, dy == 0 and y2 or math.max(y1, y2))
        if enters < leaves and leaves > 0 then
            nearest = math.min(nearest, math.max(enters, 0))
        end
    end
    return math.max(nearest, 0)
end

-- Whether the player is seen from a point.
function World:sees(x, y)
    local dx, dy = self.player.x - x, self.player.y - y
    local distance = math.sqrt(dx * dx + dy * dy)
    return distance == 0 or self:ray(x, y, dx, dy) >= distance
end

-- Moves along walls, not into them, and `sideways` where that leads nowhere.
function World:move(body, dx, dy, speed, dt, sideways)
    local length = math.sqrt(dx * dx + dy * dy)
    body.vx, body.vy = 0, 0
    if length == 0 then
        return
    end
    local x, y = body.x + dx / length * speed * dt, body.y + dy / length * speed * dt
    local from_x, from_y = body.x, body.y
    if not self:blocked(x, body.y) then
        body.x = x
    end
    if not self:blocked(body.x, y) then
        body.y = y
    end
    if body.x == from_x and body.y == from_y and not sideways then
        return self:move(body, dy, -dx, speed, dt, true)
    end
    body.vx, body.vy = (body.x - from_x) / dt, (body.y - from_y) / dt
end

local function touch(a, b, distance)
    local dx, dy = a.x - b.x, a.y - b.y
    return dx * dx + dy * dy < distance * distance
end

-- One step of `dt` seconds, in which the player goes in a direction. False once the game is lost.
function World:step(dt, dx, dy)
    if self.lives == 0 then
        return false
    end
    self.harmless = math.max(self.harmless - dt, 0)
    self:move(self.player, dx, dy, self.player_speed, dt)
    for _, enemy in ipairs(self.enemies) do
        self:move(enemy, enemy.go[1], enemy.go[2], self.speed, dt)
        if self.harmless == 0 and touch(enemy, self.player, 2 * RADIUS) then
            self.lives, self.harmless = self.lives - 1, HARMLESS_S
        end
    end
    for index = #self.gems, 1, -1 do
        if touch(self.gems[index], self.player, 2 * RADIUS) then
            table.remove(self.gems, index)
            self.score = self.score + 1
        end
    end
    if #self.gems == 0 then
        self:next_wave(#self.enemies + 2)
    end
    return self.lives > 0
end

return World
