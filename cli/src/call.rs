//! One call, as the command line has it: which runtime, and with which input.

use crate::grants::Grants;
use crate::input;
use crate::near::did_you_mean;
use arawn::{Error, ExecutorConfig, Result, RuntimeInput, ScriptExecutor};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Args)]
pub struct CallArguments {
    /// A runtime of the catalog, a built-in runtime, or a file (.wasm, .js, .mjs, .lua) that is run as it is
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What is asked of the runtime [default: {}]; @FILE and - (stdin) read it
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub config: Option<String>,
    /// What the runtime works on [default: {}]; @FILE and - (stdin) read it
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub context: Option<String>,
    /// Both together, as the runtime reads them: `{"config": …, "context": …}`; @FILE and - (stdin) read it
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true, conflicts_with_all = ["config", "context"])]
    pub input: Option<String>,
}

/// Which runtime a call runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One of the catalog, or a built-in one.
    Named(String),
    /// The one in this file.
    File(PathBuf),
}

/// The text of a [`RuntimeInput`].
#[derive(Clone, Debug)]
pub struct InputText(String);

impl CallArguments {
    /// Which runtime is meant. A name with a separator is a path; a name that ends as the file of a runtime does is one if
    /// the file is there.
    pub fn target(&self) -> Result<Target> {
        target(&self.name)
    }

    /// The name by which a catalog has the runtime, or by which it is built in. A file has none.
    pub fn runtime(&self) -> Option<&str> {
        matches!(self.target(), Ok(Target::Named(_))).then_some(&*self.name)
    }

    /// The call's input. Nothing is read from stdin that is not asked for.
    pub fn input(&self) -> Result<InputText> {
        let is_stdin = |value: &Option<String>| value.as_deref().is_some_and(input::is_stdin);
        if is_stdin(&self.config) && is_stdin(&self.context) {
            let message = "cannot be read from stdin, which --config reads: use --input - for both together".to_owned();
            return Err(Error::InvalidRequest { path: "--context".to_owned(), message });
        }
        if let Some(value) = &self.input {
            return input::json("--input", value).map(InputText);
        }
        let read =
            |option, value: &Option<String>| value.as_deref().map(|value| input::json(option, value)).transpose();
        let (config, context) = (read("--config", &self.config)?, read("--context", &self.context)?);
        let text = |value: Option<String>| value.unwrap_or_else(|| "{}".to_owned());
        Ok(InputText(format!("{{\"config\":{},\"context\":{}}}", text(config), text(context))))
    }
}

impl InputText {
    pub fn get(&self) -> Result<RuntimeInput<'_>> {
        RuntimeInput::from_json(&self.0)
    }
}

impl Target {
    /// The configuration of an executor that serves the runtime, with these grants. A file needs no catalog, so none is
    /// looked for.
    pub fn config(&self, grants: &Grants) -> Result<ExecutorConfig> {
        match self {
            Target::Named(_) => grants.config(),
            Target::File(_) => grants.config_without_runtimes(),
        }
    }

    /// An executor that serves the runtime, and the name that it has there.
    pub fn executor(&self, config: ExecutorConfig) -> Result<(ScriptExecutor, String)> {
        match self {
            Target::Named(name) => Ok((ScriptExecutor::new(config)?, name.clone())),
            Target::File(path) => {
                let (executor, entry) = ScriptExecutor::of_file(config, path)?;
                Ok((executor, entry.name.clone()))
            }
        }
    }
}

/// Which runtime is meant by a name, see [`CallArguments::target`].
pub fn target(name: &str) -> Result<Target> {
    let path = Path::new(name);
    let is_path = name.contains(std::path::is_separator) || has_ending(path) && path.is_file();
    if !is_path {
        return Ok(Target::Named(name.to_owned()));
    }
    let invalid = |message| Err(Error::InvalidRequest { path: name.to_owned(), message });
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            invalid("is a directory: name the file of a runtime, or a runtime with --runtimes DIR".to_owned())
        }
        Ok(metadata) if !metadata.is_file() => invalid("is no regular file: copy what is in it into one".to_owned()),
        Ok(_) => Ok(Target::File(path.to_owned())),
        Err(error) => invalid(format!("cannot be read: {error}{}", did_you_mean(path))),
    }
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ["wasm", "js", "mjs", "lua"].iter().any(|known| ending == *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> CallArguments {
        CallArguments { name: name.to_owned(), config: None, context: None, input: None }
    }

    #[test]
    fn a_name_is_a_file_where_it_can_be_nothing_else() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let path = place.path().join("greet.wasm");
        assert!(std::fs::write(&path, "").is_ok());
        assert_eq!(named(&path.display().to_string()).target().ok(), Some(Target::File(path)));
        assert_eq!(named("greet.js").target().ok(), Some(Target::Named("greet.js".to_owned())));
        assert_eq!(named("transform").target().ok(), Some(Target::Named("transform".to_owned())));
        let text = |name: &str| named(name).target().err().map(|error| error.to_string()).unwrap_or_default();
        let typo = text(&place.path().join("gret.wasm").display().to_string());
        assert!(
            typo.contains("cannot be read: ") && typo.contains("did you mean") && typo.contains("greet.wasm"),
            "{typo}"
        );
        assert!(text(&place.path().display().to_string()).contains("is a directory: name the file of a runtime"));
    }

    #[test]
    fn the_input_is_what_was_given_and_empty_objects_otherwise() {
        let text = |config: Option<&str>, context: Option<&str>, input: Option<&str>| {
            let [config, context, input] = [config, context, input].map(|value| value.map(str::to_owned));
            let text = CallArguments { config, context, input, ..named("a") }.input();
            text.map(|InputText(text)| text).unwrap_or_else(|error| error.to_string())
        };
        assert_eq!(text(None, None, None), r#"{"config":{},"context":{}}"#);
        assert_eq!(text(Some("[1.50]"), Some("2e3"), None), r#"{"config":[1.50],"context":2e3}"#);
        assert_eq!(text(None, None, Some(r#"{"context": 1}"#)), r#"{"context": 1}"#);
        assert!(text(Some("-"), Some("-"), None).starts_with("`--context` cannot be read from stdin"));
        // What is no single value cannot slip something into the input.
        assert!(text(Some(r#"1,"context":2"#), None, None).starts_with("`--config` is not JSON: "));
    }
}
