-- The brains that are scripts: files in the directory of the game's catalog, for the player to edit. A call runs what
-- was saved last; while that does not parse, the version before it goes on.
local Scripts = { files = { guard = "guard.lua", moth = "moth.js" } }

-- The text of catalog.toml, with an entry for each script that has none.
function Scripts.listed(catalog)
    local names = {}
    for name in pairs(Scripts.files) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local head = ("[runtimes.%s]\n"):format(name)
        if not catalog:find(head, 1, true) then
            catalog = ('%s\n%sscript = "brains/%s"\n'):format(catalog, head, Scripts.files[name])
        end
    end
    return catalog
end

-- Copies them to where they are edited: below a directory of the save directory, which is the catalog's. Those that are
-- there are the player's own, and stay. Called before the catalog is read.
function Scripts.install(directory)
    assert(love.filesystem.createDirectory(directory .. "/brains"))
    for _, file in pairs(Scripts.files) do
        local path = directory .. "/brains/" .. file
        if not love.filesystem.getInfo(path) then
            assert(love.filesystem.write(path, assert(love.filesystem.read("brains/" .. file))))
        end
    end
    local path = directory .. "/catalog.toml"
    local catalog = love.filesystem.getInfo(path) and assert(love.filesystem.read(path)) or ""
    local listed = Scripts.listed(catalog)
    if listed ~= catalog then
        assert(love.filesystem.write(path, listed))
    end
end

-- The language of a file, by its name; nil for a module.
function Scripts.language(name)
    return name:find("%.lua$") and "lua" or name:find("%.m?js$") and "javascript" or nil
end

-- What the thread of catalog.lua answers of a script: `runtime` is left out where no call of it can be, and `problem`
-- says with file, line and column why what was saved last does not decide. It parses a new version, longer than a frame.
function Scripts.look(executor, name)
    local shown, err = executor:inspect(name)
    local problem = err and tostring(err) or shown.problem and shown.problem.error
    return { name = name, runtime = shown and name, problem = problem }
end

return Scripts
