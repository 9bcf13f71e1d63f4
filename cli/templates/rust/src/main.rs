//! Greets a person: `{"config": {"greeting": "Hello"}, "context": {"name": "Ada"}}` gives `"Hello, Ada!"`.

use serde::Deserialize;

/// What the caller asks for.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    greeting: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            greeting: "Hello".to_owned(),
        }
    }
}

/// The data to work on.
#[derive(Deserialize)]
struct Context {
    name: String,
}

/// The runtime: from config and context to an output, or to an error for a person to read.
fn greet(config: Config, context: Context) -> Result<String, String> {
    if context.name.is_empty() {
        return Err("context.name is empty".to_owned());
    }
    Ok(format!("{}, {}!", config.greeting, context.name))
}

fn main() {
    // Reads the input from stdin and writes the reply to stdout. For messages of your own use `eprintln!`.
    arawn_sdk::run(greet);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str) -> Context {
        Context {
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_person_is_greeted() {
        assert_eq!(
            greet(Config::default(), context("Ada")),
            Ok("Hello, Ada!".to_owned())
        );
    }

    #[test]
    fn nobody_is_an_error() {
        assert_eq!(
            greet(Config::default(), context("")),
            Err("context.name is empty".to_owned())
        );
    }
}
