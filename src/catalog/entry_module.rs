//! The module that the guests of an entry run.

use crate::builtins::Builtin;
use crate::files::ConfinedPath;
use crate::sha256::Sha256;

/// The module that an entry's guests run. For a script it is the interpreter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EntryModule<'a> {
    Embedded(&'static Builtin, Sha256),
    File(&'a ConfinedPath),
}
