//! The contexts of steps: the context at the start, and the outputs of the steps that a step needs.

use super::document::{Checked, INDEX, ITEM, Step};
use super::list::Found;
use crate::error::Result;
use crate::memory;
use std::borrow::Cow;
use std::sync::Arc;

/// The output of a step, JSON text.
pub(super) trait Output {
    fn text(&self) -> &str;
}

/// The pieces of a step's context. `outputs` are those of the steps that it needs, in the order of `needs`.
pub(super) fn pieces<'a, T: Output>(checked: &'a Checked, step: &'a Step, outputs: &'a [Arc<T>]) -> Vec<&'a str> {
    let mut pieces = Pieces::of(&checked.context);
    for (need, output) in step.needs.iter().zip(outputs) {
        pieces.add(&checked.steps[*need].key, [output.text()]);
    }
    pieces.end()
}

/// What the contexts of a step's items begin with: all but the list, up to the item's own value. `need` is the place of
/// the output that has the list among `outputs`, or `None` if the context at the start has it.
pub(super) fn before_item<T: Output>(
    checked: &Checked,
    step: &Step,
    outputs: &[Arc<T>],
    need: Option<usize>,
    list: &Found,
) -> Result<String> {
    let joined = |pieces: &[&str]| memory::joined("the context of a list's items", pieces);
    let without_list = |text: &str| joined(&[&text[..list.cut.start], list.in_place, &text[list.cut.end..]]);
    let context = match need {
        None => Cow::Owned(without_list(&checked.context)?),
        Some(_) => Cow::Borrowed(&*checked.context),
    };
    let mut pieces = Pieces::of(&context);
    let rest = need.map(|need| without_list(outputs[need].text())).transpose()?;
    for (place, (number, output)) in step.needs.iter().zip(outputs).enumerate() {
        let output = match &rest {
            // The output is the list itself, or what is left of it.
            Some(_) if need == Some(place) && list.is_whole => continue,
            Some(rest) if need == Some(place) => rest,
            _ => output.text(),
        };
        pieces.add(&checked.steps[*number].key, [output]);
    }
    let item = format!("\"{ITEM}\":");
    pieces.add(&item, []);
    joined(&pieces.pieces)
}

/// What stands between an item and its index.
pub(super) fn before_index() -> String {
    format!(",\"{INDEX}\":")
}

/// An object in pieces, to which members are added.
struct Pieces<'a> {
    pieces: Vec<&'a str>,
    is_empty: bool,
}

impl<'a> Pieces<'a> {
    /// The pieces of an object's text.
    fn of(object: &'a str) -> Self {
        let members = object.trim_ascii_end().strip_suffix('}').unwrap_or(object);
        Pieces { pieces: vec![members], is_empty: members.trim_ascii_end().ends_with('{') }
    }

    /// Adds a member. `key` ends with a colon.
    fn add<const N: usize>(&mut self, key: &'a str, value: [&'a str; N]) {
        if !std::mem::take(&mut self.is_empty) {
            self.pieces.push(",");
        }
        self.pieces.push(key);
        self.pieces.extend(value);
    }

    fn end(mut self) -> Vec<&'a str> {
        self.pieces.push("}");
        self.pieces
    }
}
