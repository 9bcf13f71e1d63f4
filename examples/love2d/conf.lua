-- Without a display SDL draws where nobody sees it, or LÖVE ends with a text about SDL: this says what is missing.
local function no_display()
    if love._os ~= "Linux" or os.getenv("SDL_VIDEODRIVER") then
        return nil
    elseif not os.getenv("DISPLAY") and not os.getenv("WAYLAND_DISPLAY") then
        return "neither DISPLAY nor WAYLAND_DISPLAY is set"
    end
    local fine, problem = pcall(require, "love.window")
    if not fine then
        return problem
    end
    local ffi = require "ffi"
    ffi.cdef "const char *SDL_GetCurrentVideoDriver(void);"
    local known, driver = pcall(function() return ffi.string(ffi.C.SDL_GetCurrentVideoDriver()) end)
    return known and (driver == "offscreen" or driver == "dummy") and "the one that is set does not answer" or nil
end

function love.conf(t)
    local problem = no_display()
    if problem then
        io.stderr:write("There is no display for the game: ", problem, ". Without a screen, xvfb-run has one.\n")
        os.exit(1)
    end
    t.identity = "arawn-hunt"
    t.version = "11.4"
    t.window.title = "Hunt"
    t.window.width, t.window.height = 960, 540
    -- The game paces itself, and measures what a frame takes by itself.
    t.window.vsync = 0
    for _, module in ipairs { "audio", "sound", "physics", "video", "joystick" } do
        t.modules[module] = false
    end
end
