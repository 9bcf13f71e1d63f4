-- A shop and an order, in plain LuaJIT: an executor, `transform` on a document, a runtime that asks a function of the
-- host, a script that asks it too, an edit of the script that does not parse, a call that does not block, one that is
-- cancelled, an error, and the end of it all.
--
--     make example-lua
--
-- It prints:
--
--     transform: {"city":"Malmö","to":"Zoë Ångström","total":108.25,"tracking":9007199254740993}
--     stock: {"missing":[{"pieces":1,"sku":"CUP-0113"}],"order":"2026-004711"}
--     levels: [7,1,3]
--     edit: script_invalid, line 6, column 12
--     later: {"missing":[],"order":"2026-004711"}
--     never: cancelled
--     runtime_error: expression: context.customer has no key "adress" (it has: address, email, name)
package.path = "bindings/lua/?.lua;" .. package.path
local arawn = require "arawn"
local json = arawn.json

local file = assert(io.open("examples/c/document.json", "rb"))
local order = json.decode(file:read("*a"))
file:close()

-- A script, which asks for the pieces of each article.
local levels = [[
return function(input)
    local levels = {}
    for index, item in ipairs(input.context.items) do
        levels[index] = arawn.call("stock.level", { sku = item.sku })
    end
    return levels
end
]]

-- An executor is a policy: where its runtimes are, what a call may take, and which functions guests may call.
local shop = assert(arawn.executor {
    runtimes_dir = "target/example-lua-runtimes",
    limits = { timeout_ms = 10000 },
    capabilities = { host_functions = json.array { "stock.level" } },
})

-- `transform` comes with the library. Here it picks from the order.
local picked = assert(shop:execute("transform", {
    config = {
        mappings = {
            to = "customer.name", city = "customer.address.city", total = "total", tracking = "tracking_number",
        },
    },
    context = order,
}))
print("transform: " .. json.encode(picked))

-- `stock` is put into the catalog. It asks for the pieces of each article, and an error is one that the guest gets.
local pieces = { ["TEA-0042"] = 7, ["POT-0007"] = 1, ["CUP-0113"] = 3 }
local asked = 0
assert(shop:register("stock", { path = "runtimes/prebuilt/stock.wasm", replace = true }))
assert(shop:host_function("stock.level", function(request)
    asked = asked + 1
    return pieces[request.sku] or error("nobody sells that here", 0)
end))
print("stock: " .. json.encode(assert(shop:execute("stock", { context = order }))))

-- A script is registered as its text: there is nothing to build.
assert(shop:register("levels", { script = levels, language = "lua", replace = true }))
print("levels: " .. json.encode(assert(shop:execute("levels", { context = order }))))

-- An edit that does not parse is refused with its place, and the version before it stays.
local typo = levels:gsub("return levels", "retrun levels")
local _, refused = shop:register("levels", { script = typo, language = "lua", replace = true })
print(("edit: %s, line %d, column %d"):format(refused.code, refused.details.line, refused.details.column))

-- Draws frames, as a game would, until the guest has asked some times: it runs meanwhile.
local function draw_frames(job)
    asked = 0
    while asked < 3 and not job.reply do
        assert(shop:poll())
    end
end

-- Without blocking: it asks again until nothing is missing.
local later = assert(shop:submit("stock", { config = { wait = true }, context = order }))
draw_frames(later)
pieces["CUP-0113"] = 4 -- A delivery of cups.
print("later: " .. json.encode(assert(later:wait())))

-- Nobody brings more tea: this one would wait until its deadline, and is cancelled.
pieces["TEA-0042"] = 0
local never = assert(shop:submit("stock", { config = { wait = true }, context = order }))
draw_frames(never)
assert(never:cancel())
local _, cancelled = never:wait()
print("never: " .. cancelled.code)

-- What is wrong is a second result: a text for people, a code for programs.
local _, wrong = shop:execute("transform", { config = { expression = "customer.adress" }, context = order })
print(wrong)

assert(shop:close())
