//! A failure of what the program does beside running guests, told to a person.

use crate::exit::Exit;
use crate::hints::hint;
use crate::report::{self, Script};
use arawn::{Error, Limits};
use std::path::PathBuf;

/// What went wrong, what to do about it, and how the program ends.
#[derive(Debug)]
pub struct Failed {
    what: What,
    hint: Option<String>,
}

#[derive(Debug)]
enum What {
    Text(Exit, String),
    /// Of the library, and the script that it is about.
    Error(Box<Error>, Option<PathBuf>),
}

pub type Result<T> = std::result::Result<T, Failed>;

impl Failed {
    /// The command line or a file of the user's is not as it must be.
    pub fn usage(text: impl Into<String>) -> Self {
        Failed { what: What::Text(Exit::Usage, text.into()), hint: None }
    }

    /// Something else is in the way: a tool, the system.
    pub fn host(text: impl Into<String>) -> Self {
        Failed { what: What::Text(Exit::Host, text.into()), hint: None }
    }

    /// What to do, each line a way of its own.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Failed { hint: Some(hint.into()), ..self }
    }

    /// Of the library, about a script. Its line is shown.
    pub fn of_script(error: Error, script: PathBuf) -> Self {
        Failed { what: What::Error(Box::new(error), Some(script)), hint: None }
    }

    pub fn report(&self) -> Exit {
        match &self.what {
            What::Text(exit, text) => {
                report::problem(text, None);
                report::give(self.hint.as_deref());
                *exit
            }
            What::Error(error, script) => {
                let hint = self.hint.clone().or_else(|| hint(error, &Limits::default()));
                let script = script.as_ref().map(|path| Script { path: path.clone(), names: Vec::new() });
                report::run_error(error, false, script.as_ref(), hint.as_deref());
                error.as_code().into()
            }
        }
    }

    #[cfg(test)]
    pub fn words(&self) -> String {
        let text = match &self.what {
            What::Text(_, text) => text.clone(),
            What::Error(error, _) => error.to_string(),
        };
        format!("{text}\n{}", self.hint.as_deref().unwrap_or_default())
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed { what: What::Error(Box::new(error), None), hint: None }
    }
}
