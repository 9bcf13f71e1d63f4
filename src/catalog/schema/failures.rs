//! The failures that a validation has found, in the form in which a caller is told of them.

use crate::error::{Failure, printable};
use boon::{ErrorKind, InstanceLocation, InstanceToken, ValidationError};
use std::collections::HashSet;

/// The most failures that are told of one config.
const MOST: usize = 10_000;
/// The most characters of a message. A message may repeat parts of the config.
const MESSAGE: usize = 300;

/// The failures at the leaves of a tree of errors. An error that is no leaf only says that there are failures below it.
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
            // `contains`: no item fits, so that no single item is to blame.
            ErrorKind::Contains | ErrorKind::MinContains { .. } => error.kind.to_string(),
            // The causes of an unfit property name are told in one message, because boon does not tell where the object
            // is.
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

/// A location in the form of all other paths: `.items[0].name`.
fn path_of(location: &InstanceLocation<'_>) -> String {
    let token = |token: &InstanceToken<'_>| match token {
        InstanceToken::Prop(key) => format!(".{key}"),
        InstanceToken::Item(index) => format!("[{index}]"),
    };
    location.tokens.iter().map(token).collect()
}
