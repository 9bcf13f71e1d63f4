//! Walks through JSON text that was checked before: the members of an object and the elements of an array, as text.

use super::cursor::Cursor;
use super::words::text_of;
use std::borrow::Cow;
use std::ops::Range;

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// The decoded key. A lone surrogate in it is U+FFFD.
    pub key: Cow<'a, str>,
    /// From the key's first quotation mark to the end of the value.
    pub whole: Range<usize>,
    pub value: Range<usize>,
}

/// The members of the object that the text is, in its order. None if the text is no object.
pub(crate) fn members(text: &str) -> impl Iterator<Item = Member<'_>> {
    let mut items = Items::of(text, b'{');
    std::iter::from_fn(move || {
        items.begin()?;
        let cursor = &mut items.cursor;
        let key = cursor.checked()?;
        cursor.take(b':').ok()?;
        let value = cursor.checked()?;
        Some(Member { key: text_of(&text[key.clone()])?, whole: key.start..value.end, value })
    })
}

/// The elements of the array that the text is. None if the text is no array.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut items = Items::of(text, b'[');
    std::iter::from_fn(move || {
        items.begin()?;
        items.cursor.checked()
    })
}

/// What is between the brackets of an object or an array.
struct Items<'a> {
    cursor: Cursor<'a>,
    is_first: bool,
    is_over: bool,
}

impl<'a> Items<'a> {
    fn of(text: &'a str, bracket: u8) -> Self {
        let mut cursor = Cursor { text, at: 0 };
        let is_over = cursor.take(bracket).is_err();
        Items { cursor, is_first: true, is_over }
    }

    /// Goes to the beginning of the next item; `None` after the last one.
    fn begin(&mut self) -> Option<()> {
        let is_first = std::mem::take(&mut self.is_first);
        self.is_over |= matches!(self.cursor.peek(), None | Some(b'}' | b']'));
        if self.is_over {
            return None;
        }
        if !is_first {
            self.cursor.take(b',').ok()?;
            self.cursor.peek();
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_what_serde_json_reads() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let long = format!("\"{}\"", "x".repeat(5000));
        let values = ["1", "{}", "[]", " [ 1 , {\"a\":2} ] ", "\"\\\"}]\"", "null", "-0.1e5", &deep, &long];
        for count in 0..values.len() {
            let list = format!(" [ {} ] ", values[..count].join(" , "));
            let texts: Vec<_> = elements(&list).map(|range| list[range].trim()).collect();
            let expected: Vec<_> = values[..count].iter().map(|value| value.trim()).collect();
            assert_eq!(texts, expected);
            assert_eq!(members(&list).count(), 0);

            let keys = ["\"\"", "\"a\"", "\"\\u00e9\"", "\"\\\"\"", "\"k,}\"", "\"k\\n\"", "\"g\"", "\"h\"", "\"i\""];
            let pairs: Vec<_> =
                keys.iter().zip(&values[..count]).map(|(key, value)| format!("{key} : {value}")).collect();
            let object = format!("{{ {} }}", pairs.join(","));
            assert_eq!(elements(&object).count(), 0);
            for (member, (key, value)) in members(&object).zip(keys.iter().zip(&values)) {
                assert_eq!(member.key, serde_json::from_str::<String>(key).unwrap());
                assert_eq!(object[member.value.clone()], *value.trim());
                assert_eq!(&object[member.whole.clone()], format!("{key} : {value}").trim_end());
            }
            assert_eq!(members(&object).count(), count);
        }
    }
}
