"""Greets a person: {"config": {"greeting": "Hello"}, "context": {"name": "Ada"}} gives "Hello, Ada!"."""


def greet(config, context):
    """The runtime: from config and context to an output. What it raises is the error that the caller reads."""
    greeting = config.get("greeting", "Hello")
    name = context.get("name", "")
    if not isinstance(greeting, str):
        raise ValueError("config.greeting must be a string")
    if not isinstance(name, str):
        raise ValueError("context.name must be a string")
    if not name:
        raise ValueError("context.name is empty")
    return f"{greeting}, {name}!"
