// Greets a person: {"config": {"greeting": "Hello"}, "context": {"name": "Ada"}} gives "Hello, Ada!".

// The runtime: from config and context to an output. What it throws is the error that the caller reads.
export function greet({ greeting = "Hello" }, { name = "" }) {
  if (typeof greeting !== "string") throw new TypeError("config.greeting must be a string");
  if (typeof name !== "string") throw new TypeError("context.name must be a string");
  if (name === "") throw new TypeError("context.name is empty");
  return `${greeting}, ${name}!`;
}
