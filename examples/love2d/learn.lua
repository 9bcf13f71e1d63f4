-- A thread of its own, with a Lua state of its own: registers a brain with the game's executor.
local executor, name, wasm = ...
local arawn = require "arawn"

local output, err = arawn.attach(executor):register("brain", {
    wasm_base64 = love.data.encode("string", "base64", wasm),
    description = "What the enemies think with: " .. name,
    replace = true,
})
love.thread.getChannel("learned"):push({
    name = name, sha256 = output and output.sha256, problem = err and tostring(err),
})
