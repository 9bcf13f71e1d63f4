//! The scanner of long JSON accepts what serde_json accepts, ends where serde_json ends, and does so at every instruction
//! set of this machine.

use serde::de::IgnoredAny;

/// `bytes` are a byte that says how far a text is moved, so that its parts come to lie across the scanner's chunks, and
/// the text.
pub fn run(bytes: &[u8]) {
    let Some((moved, Ok(text))) = bytes.split_first().map(|(moved, text)| (*moved, std::str::from_utf8(text))) else {
        return;
    };
    let padding = 2048 - usize::from(moved);
    for text in [text.to_owned(), format!("[\"{}\",{text}]", "x".repeat(padding))] {
        if !text.starts_with(['{', '[', '"']) {
            continue;
        }
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<IgnoredAny>();
        let expected = values.next().and_then(Result::ok).map(|_| values.byte_offset());
        let ends = arawn::fuzzing::ends(&text);
        assert!(ends.iter().all(|end| end.is_none() || *end == expected), "{ends:?}, but {expected:?}");
        assert!(ends[1..].windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
    }
}
