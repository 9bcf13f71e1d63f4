//! The list of a `for_each`: where it is, its items, and the list of their outputs.

use crate::error::{Error, quoted};
use crate::json::{elements, members};
use std::ops::Range;

/// The most items of a list.
const MOST_ITEMS: usize = 100_000;

/// Where a list is in the text that has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub list: Range<usize>,
    /// What to take out of the text to leave the list out.
    pub cut: Range<usize>,
    /// What stands there then.
    pub in_place: &'static str,
    /// Whether the whole text is the list.
    pub is_whole: bool,
}

/// Follows the keys of a path, and finds the list at its end. An error says what is there instead: the predicate of a
/// sentence whose subject is the path.
pub(super) fn find(text: &str, path: &[String]) -> Result<Found, String> {
    let mut found = Found { list: 0..text.len(), cut: 0..text.len(), in_place: "", is_whole: path.is_empty() };
    for (depth, key) in path.iter().enumerate() {
        let value = &text[found.list.clone()];
        let (inner, cut, in_place) = match value.trim_ascii_start().as_bytes().first() {
            Some(b'{') => member(value, key).map(|(inner, cut)| (inner, cut, "")),
            Some(b'[') => element(value, key).map(|element| (element.clone(), element, "null")),
            _ => None,
        }
        .ok_or_else(|| leads_nowhere(value, &path[..=depth]))?;
        let start = found.list.start;
        let moved = |range: Range<usize>| start + range.start..start + range.end;
        found = Found { list: moved(inner), cut: moved(cut), in_place, is_whole: false };
    }
    let value = &text[found.list.clone()];
    match value.trim_ascii_start().starts_with('[') {
        true => Ok(found),
        false => Err(format!("must lead to a list, but leads to {}", kind(value))),
    }
}

/// The value of a member of an object, and what to take out to leave the member out. Of several members with this key,
/// the last one counts, as for those who parse the object.
fn member(object: &str, key: &str) -> Option<(Range<usize>, Range<usize>)> {
    let (mut end_of_last, mut found) = (None, None);
    for member in members(object) {
        if let Some((_, Range { end, .. }, is_first @ true)) = &mut found {
            // The first member goes with the comma after it.
            (*end, *is_first) = (member.whole.start, false);
        }
        if member.key == key {
            let start = end_of_last.unwrap_or(member.whole.start);
            found = Some((member.value.clone(), start..member.whole.end, end_of_last.is_none()));
        }
        end_of_last = Some(member.whole.end);
    }
    found.map(|(value, cut, _)| (value, cut))
}

fn element(array: &str, key: &str) -> Option<Range<usize>> {
    let number: usize = key.parse().ok()?;
    // As JSON writes a number: neither +0 nor 00.
    if number.to_string() == key { elements(array).nth(number) } else { None }
}

#[cold]
fn leads_nowhere(value: &str, path: &[String]) -> String {
    let Some((key, _)) = path.split_last() else { return String::new() };
    format!("must lead to a list, but {} has no `{}`", kind(value), quoted(key))
}

/// What a value is, for a message.
fn kind(value: &str) -> &'static str {
    match value.trim_ascii_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The items of a list, as ranges of its text.
pub(super) fn items(list: &str) -> Result<Vec<Range<usize>>, String> {
    let items: Vec<_> = elements(list).take(MOST_ITEMS + 1).collect();
    match items.len() > MOST_ITEMS {
        true => Err(format!("leads to a list of more than {MOST_ITEMS} items, the most that one step may have")),
        false => Ok(items),
    }
}

/// The outputs of the items, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    text: String,
    /// Where the output of each item is in `text`.
    of_items: Vec<Range<usize>>,
    ended: usize,
}

impl Outputs {
    pub fn of(items: usize) -> Self {
        Outputs { text: String::new(), of_items: vec![0..0; items], ended: 0 }
    }

    /// Adds the output of an item. An error if all outputs together have more than `most_bytes`.
    pub fn add(&mut self, item: usize, output: &str, most_bytes: u64) -> Result<(), Error> {
        let start = self.text.len();
        // With the brackets and commas of the list.
        let bytes = (start + output.len() + self.of_items.len() + 1) as u64;
        if bytes > most_bytes {
            return Err(Error::OutputsTooLarge { limit: "output_bytes", value: most_bytes });
        }
        self.text.try_reserve(output.len()).map_err(|_| no_memory())?;
        self.text.push_str(output);
        self.of_items[item] = start..self.text.len();
        self.ended += 1;
        Ok(())
    }

    pub fn is_complete(&self) -> bool {
        self.ended == self.of_items.len()
    }

    /// How many items have ended.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// The list of the outputs, in the order of the items.
    pub fn into_list(self) -> Result<String, Error> {
        let mut list = String::new();
        list.try_reserve_exact(self.text.len() + self.of_items.len() + 1).map_err(|_| no_memory())?;
        list.push('[');
        for (number, range) in self.of_items.into_iter().enumerate() {
            if number > 0 {
                list.push(',');
            }
            list.push_str(&self.text[range]);
        }
        list.push(']');
        Ok(list)
    }
}

fn no_memory() -> Error {
    Error::no_memory("the outputs of a list's items")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    fn found(text: &str, path: &str) -> Result<(String, String), String> {
        let path: Vec<_> = path.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect();
        find(text, &path).map(|found| {
            let rest = [&text[..found.cut.start], found.in_place, &text[found.cut.end..]].concat();
            (text[found.list].to_owned(), rest)
        })
    }

    #[test]
    fn the_list_is_found_and_left_out() {
        let cases = [
            ("[1]", "", "[1]", ""),
            (r#"{"a":[1]}"#, "a", "[1]", "{}"),
            (r#"{ "a" : [1] , "b":2}"#, "a", "[1]", r#"{ "b":2}"#),
            (r#"{"b":2, "a":[1]}"#, "a", "[1]", r#"{"b":2}"#),
            (r#"{"b":2, "a":[1] ,"c":3}"#, "a", "[1]", r#"{"b":2 ,"c":3}"#),
            (r#"{"b":{"c":{"d":[[]], "e":1}}, "a":0}"#, "b.c.d", "[[]]", r#"{"b":{"c":{"e":1}}, "a":0}"#),
            (r#"[0, {"a":[1]}]"#, "1.a", "[1]", "[0, {}]"),
            (r#"{"x":[[1],[2]]}"#, "x.1", "[2]", r#"{"x":[[1],null]}"#),
            (r#"{"\u0061":[1]}"#, "a", "[1]", "{}"),
            (r#"{"a":1,"a":[2],"b":0}"#, "a", "[2]", r#"{"a":1,"b":0}"#),
        ];
        for (text, path, list, rest) in cases {
            assert_eq!(found(text, path), Ok((list.to_owned(), rest.to_owned())), "{text} {path}");
            serde_json::from_str::<serde_json::Value>(if rest.is_empty() { "0" } else { rest }).unwrap();
        }
        let wrong = [
            (r#"{"a":1}"#, "a", "must lead to a list, but leads to a number"),
            (r#"{"a":1}"#, "b", "must lead to a list, but an object has no `b`"),
            (r#"{"a":[1]}"#, "a.1", "must lead to a list, but a list has no `1`"),
            (r#"{"a":[1]}"#, "a.x", "must lead to a list, but a list has no `x`"),
            ("true", "a", "must lead to a list, but a boolean has no `a`"),
            ("null", "", "must lead to a list, but leads to null"),
        ];
        for (text, path, message) in wrong {
            assert_eq!(found(text, path), Err(message.to_owned()), "{text} {path}");
        }
    }

    #[test]
    fn outputs_come_in_any_order_and_leave_in_that_of_the_items() {
        let mut outputs = Outputs::of(3);
        assert!(outputs.add(2, "\"c\"", 100).is_ok() && outputs.add(0, "1.0", 100).is_ok() && !outputs.is_complete());
        assert!(outputs.add(1, "{}", 11).is_err() && outputs.add(1, "{}", 12).is_ok() && outputs.is_complete());
        assert_eq!(outputs.into_list().unwrap(), r#"[1.0,{},"c"]"#);
        assert_eq!(Outputs::of(0).into_list().unwrap(), "[]");
        assert!(items(&format!("[{}0]", "0,".repeat(MOST_ITEMS - 1))).is_ok());
        assert!(items(&format!("[{}0]", "0,".repeat(MOST_ITEMS))).is_err());
    }
}
