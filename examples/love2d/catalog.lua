-- A thread of its own, with a Lua state of its own: registers brains with the game's executor, and looks at scripts.
-- Both take longer than a frame.
local id = ...
package.path = love.filesystem.getSource() .. "/../../bindings/lua/?.lua;" .. package.path
local arawn = require "arawn"
local Scripts = require "scripts"

local executor = arawn.attach(id)
local asked, told = love.thread.getChannel("asked"), love.thread.getChannel("told")

-- Compiles a module, or parses a script that was dropped on the window.
local function register(name, bytes)
    local language = Scripts.language(name)
    local output, err = executor:register("brain", {
        wasm = not language and bytes or nil, script = language and bytes, language = language,
        description = "What the enemies think with: " .. name,
        replace = true,
    })
    return {
        name = name, runtime = output and "brain", sha256 = output and output.sha256, problem = err and tostring(err),
    }
end

local question = asked:demand()
while not question.over do
    local name, bytes = question.name, question.bytes
    told:push(bytes and register(name, bytes) or Scripts.look(executor, name))
    question = asked:demand()
end
