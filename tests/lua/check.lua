-- Runs the functions of a table whose names begin with `test_`, all of them, and fails where one does.
local check = {}

function check.equal(actual, expected)
    if actual ~= expected then
        error(("%s is not %s"):format(tostring(actual), tostring(expected)), 2)
    end
end

-- What a function raises, which must have the text.
function check.raises(text, run, ...)
    local fine, problem = pcall(run, ...)
    if fine or not tostring(problem):find(text, 1, true) then
        error(("raised %s, not %s"):format(fine and "nothing" or tostring(problem), text), 2)
    end
end

function check.run(tests)
    local names = {}
    for name in pairs(tests) do
        names[#names + 1] = name
    end
    table.sort(names)
    local failed = 0
    for _, name in ipairs(names) do
        local fine, problem = xpcall(tests[name], debug.traceback)
        if not fine then
            failed = failed + 1
            print(("FAILED %s: %s"):format(name, problem))
        end
    end
    print(("%d tests, %d failed"):format(#names, failed))
    os.exit(failed == 0 and 0 or 1, true)
end

return check
