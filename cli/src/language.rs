//! The languages in which `arawn new` writes a project and which `arawn build` builds.

use crate::near::known_ones;
use clap::ValueEnum;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt::{self, Display};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// a WebAssembly module; takes Rust with its target wasm32-wasip1
    #[value(alias = "rs")]
    Rust,
    /// a WebAssembly module; takes Zig, which has a C compiler for WebAssembly in it
    C,
    /// a WebAssembly module; takes Go 1.24 or newer
    #[value(alias = "golang")]
    Go,
    /// a WebAssembly component with all of Python in it, 18 MB; takes componentize-py
    #[value(alias = "py")]
    Python,
    /// a script, which runs as it is: nothing is compiled, and no tool is needed
    #[value(name = "javascript", alias = "js")]
    JavaScript,
    /// a script, which runs as it is: nothing is compiled, and no tool is needed
    Lua,
    /// a WebAssembly component with a larger JavaScript engine in it, 12 MB; takes Node.js and componentize-js
    #[value(name = "javascript-component", alias = "js-component")]
    JavaScriptComponent,
}

impl Language {
    /// The file that libarawn runs as it is.
    pub fn script(self) -> Option<&'static str> {
        match self {
            Language::JavaScript => Some("runtime.js"),
            Language::Lua => Some("runtime.lua"),
            _ => None,
        }
    }

    /// As the command line and `arawn.toml` have it.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Rust => "Rust",
            Language::C => "C",
            Language::Go => "Go",
            Language::Python => "Python",
            Language::JavaScript | Language::JavaScriptComponent => "JavaScript",
            Language::Lua => "Lua",
        })
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Language::from_str(&text, false).map_err(|_| {
            let names: Vec<String> = Language::value_variants().iter().map(|language| language.name()).collect();
            D::Error::custom(format!("there is no language `{text}`{}", known_ones(&text, "languages", &names)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Language, String> {
        serde_json::from_value(text.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_language_is_known_by_its_name() {
        for language in Language::value_variants() {
            assert_eq!(parsed(&language.name()), Ok(*language));
        }
        assert_eq!(parsed("js"), Ok(Language::JavaScript));
    }

    #[test]
    fn a_typo_is_answered_with_the_language_that_was_meant() {
        let answer = parsed("pyhton").err().unwrap_or_default();
        assert!(
            answer.starts_with("there is no language `pyhton`: did you mean `python`? The languages are rust, c, ")
        );
        let answer = parsed("cobol").err().unwrap_or_default();
        assert!(answer.contains("`cobol`") && answer.ends_with("lua, javascript-component"), "{answer}");
    }
}
