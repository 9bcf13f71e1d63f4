local greet = dofile("runtime.lua")

assert(greet({ config = {}, context = { name = "Ada" } }) == "Hello, Ada!")

local is_ok, message = pcall(greet, { config = {}, context = { name = "" } })
assert(not is_ok and message == "context.name is empty", message)

print("all tests passed")
