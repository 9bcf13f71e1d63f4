-- Greets a person: {"config": {"greeting": "Hello"}, "context": {"name": "Ada"}} gives "Hello, Ada!".

-- The runtime: from config and context to an output. What it raises by error is the error that the caller reads. For
-- messages of your own use print.
return function(input)
  local greeting = input.config.greeting or "Hello"
  local name = input.context.name or ""
  if type(greeting) ~= "string" then error("config.greeting must be a string", 0) end
  if type(name) ~= "string" then error("context.name must be a string", 0) end
  if name == "" then error("context.name is empty", 0) end
  return greeting .. ", " .. name .. "!"
end
