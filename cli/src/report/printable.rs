//! Text of guests and of catalogs, made fit to be shown.

/// Escapes what could change what a terminal shows, or hide something there: control characters, and characters that are
/// invisible or change the direction of text.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            c if is_hostile(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The same for a cell of a table or a value on one line, where a tab has no place.
pub fn cell(text: &str) -> String {
    printable(text).replace('\t', " ")
}

/// JSON with such characters as JSON escapes them: for programs it stays what it was. They are in strings alone there.
pub fn printable_json(json: &str) -> String {
    let is_hostile = |c: char| is_hostile(c) && !matches!(c, '\t' | '\r' | '\n');
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hostile(c) {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

fn is_hostile(c: char) -> bool {
    c.is_control() || is_hidden(c)
}

/// The joiners are none: languages and emoji need them.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_change_a_terminal_is_escaped() {
        assert_eq!(printable("a\x1b[2Jb\tc\u{9b}é"), "a\\u{1b}[2Jb\tc\\u{9b}é");
        assert_eq!(printable("\u{202e}\u{200b}\u{feff}"), "\\u{202e}\\u{200b}\\u{feff}");
        assert_eq!(printable("日本 👩‍🚀"), "日本 👩‍🚀");
        assert_eq!(cell("a\tb\nc"), "a b\\nc");
    }

    #[test]
    fn json_stays_what_it_was() {
        let json = "{\"a\u{9b}\": \"\u{202e}\u{e0001}\u{7f}é\",\n\t\"b\": 1.50}";
        let shown = printable_json(json);
        assert_eq!(shown, "{\"a\\u009b\": \"\\u202e\\udb40\\udc01\\u007fé\",\n\t\"b\": 1.50}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert!(read(json).is_some() && read(json) == read(&shown));
    }
}
