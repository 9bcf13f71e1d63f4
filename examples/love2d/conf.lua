function love.conf(t)
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
