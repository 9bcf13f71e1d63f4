//! Text from outside, made fit to be shown.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Escapes the control characters of text from outside, except line ends and tabs, so that the text may be printed on a
/// terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    // Writing to a string does not fail.
    let _ = Printable(&mut out).write_str(text);
    Cow::Owned(out)
}

fn is_hostile(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// A writer that escapes as [`printable`] does.
pub(super) struct Printable<'a, W>(pub &'a mut W);

impl<W: fmt::Write> fmt::Write for Printable<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_hostile) {
            let plain = part.trim_end_matches(is_hostile);
            self.0.write_str(plain)?;
            part[plain.len()..].chars().try_for_each(|c| write!(self.0, "{}", c.escape_default()))?;
        }
        Ok(())
    }
}

/// How many bytes of a name from a guest the library quotes: the name of a module, a function, an import or an export.
pub(crate) const MOST_QUOTED: usize = 200;

/// A name from a guest, cut to [`MOST_QUOTED`] bytes. Characters that are invisible or change the direction of text are
/// escaped.
pub(crate) fn quoted(name: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if name.len() <= MOST_QUOTED && !name.contains(is_hidden) {
        return Cow::Borrowed(name);
    }
    let mut out = String::new();
    for c in name[..name.floor_char_boundary(MOST_QUOTED)].chars() {
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if name.len() > MOST_QUOTED {
        out.push('…');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(quoted("a\u{202e}b\u{200b}\n"), "a\\u{202e}b\\u{200b}\\n");
        assert_eq!(quoted(&"ü".repeat(1000)), "ü".repeat(MOST_QUOTED / 2) + "…");
        assert!(matches!(quoted("$main::{closure#0} ü"), Cow::Borrowed(_)));
    }

    #[test]
    fn printable_escapes_terminal_control() {
        assert_eq!(printable("a\x1b[2Jb\0\u{9b}\n\t"), "a\\u{1b}[2Jb\\u{0}\\u{9b}\n\t");
        assert!(matches!(printable("plain ü 🦀"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_text_of_an_error_has_control_characters() {
        let error = Error::CatalogUnwritable { path: "a\x1b[2Jb\0".to_owned(), reason: "\u{9b}".to_owned() };
        assert_eq!(error.to_string(), "a\\u{1b}[2Jb\\u{0} cannot be written: \\u{9b}");
    }
}
