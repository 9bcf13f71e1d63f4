//! What a validation has found, as a caller is told it.

use crate::error::{Failure, printable};
use boon::{ErrorKind, InstanceLocation, InstanceToken, ValidationError};
use std::collections::HashSet;

/// Failures that are told of one config.
const MOST: usize = 10_000;
/// Characters of a message, which may repeat what is in the config.
const MESSAGE: usize = 300;

/// The failures at the leaves of an error: those above only say that there are some below.
pub(super) fn failures(error: &ValidationError<'_, '_>) -> Vec<Failure> {
    let mut failures = Failures::default();
    error.causes.iter().for_each(|cause| failures.collect(cause));
    failures.all
}

#[derive(Default)]
struct Failures {
    all: Vec<Failure>,
    seen: HashSet<Failure>,
}

impl Failures {
    fn collect(&mut self, error: &ValidationError<'_, '_>) {
        boon::spend(4);
        let mut message = match &error.kind {
            // What no single item is to blame for.
            ErrorKind::Contains | ErrorKind::MinContains { .. } => error.kind.to_string(),
            // boon does not tell the object's place.
            ErrorKind::PropertyName { .. } => {
                let reason = failures(error).into_iter().next();
                [error.kind.to_string(), reason.map(|reason| reason.message).unwrap_or_default()].join(": ")
            }
            kind if error.causes.is_empty() => kind.to_string(),
            _ => return error.causes.iter().for_each(|cause| self.collect(cause)),
        };
        if self.all.len() == MOST {
            return;
        }
        if let Some((end, _)) = message.char_indices().nth(MESSAGE) {
            message.truncate(end);
            message.push('…');
        }
        boon::spend(200);
        let failure = Failure { path: path_of(&error.instance_location), message: printable(&message).into_owned() };
        if self.seen.insert(failure.clone()) {
            self.all.push(failure);
        }
    }
}

/// As other paths are written: `.items[0].name`.
fn path_of(location: &InstanceLocation<'_>) -> String {
    let token = |token: &InstanceToken<'_>| match token {
        InstanceToken::Prop(key) => format!(".{key}"),
        InstanceToken::Item(index) => format!("[{index}]"),
    };
    location.tokens.iter().map(token).collect()
}
