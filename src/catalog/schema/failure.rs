//! Errors about a schema as a whole.

use crate::error::{Error, Failure, printable};
use std::fmt;

/// The error of a build without the feature `schema` for a runtime whose entry has a schema.
pub(crate) fn unsupported(runtime: &str) -> Error {
    Error::Unsupported {
        message: format!(
            "the runtime `{runtime}` has a `config_schema`, and this build of libarawn cannot check configs: use a \
             full build, or leave the schema out"
        ),
    }
}

/// A failure of the whole schema or config, rather than of a part.
pub(super) fn whole(message: impl fmt::Display) -> Failure {
    Failure { path: String::new(), message: printable(&message.to_string()).into_owned() }
}
