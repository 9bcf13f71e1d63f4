//! Base64: bytes in a JSON string.

use crate::error::Error;
use base64::DecodeError;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::borrow::Cow;

/// Decodes base64 in the standard alphabet of RFC 4648, or says what is wrong with the text, in words that follow the
/// parameter's name. White space is ignored, because MIME and many programs break lines.
pub(super) fn decoded(text: &str) -> crate::Result<Result<Vec<u8>, String>> {
    let no_memory = |_| Error::no_memory("a module in Base64");
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let symbols: Cow<'_, [u8]> = match text.bytes().any(|byte| is_blank(&byte)) {
        false => Cow::Borrowed(text.as_bytes()),
        true => {
            let mut symbols = Vec::new();
            symbols.try_reserve_exact(text.len()).map_err(no_memory)?;
            symbols.extend(text.bytes().filter(|byte| !is_blank(byte)));
            Cow::Owned(symbols)
        }
    };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(base64::decoded_len_estimate(symbols.len())).map_err(no_memory)?;
    // The byte offset in the text of the symbol with this number, white space not counted.
    let place = |number: usize| {
        let symbols = text.bytes().enumerate().filter(|(_, byte)| !is_blank(byte));
        symbols.map(|(at, _)| at).nth(number).unwrap_or(text.len())
    };
    let decoded = BASE64_STANDARD.decode_vec(&symbols, &mut bytes).map_err(|error| match error {
        DecodeError::InvalidByte(number, b'=') => {
            format!("is not base64: it has a `=` before its end, at byte {}", place(number))
        }
        DecodeError::InvalidByte(number, _) => {
            let at = place(number);
            let character = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or_default();
            let hint = match character {
                '-' | '_' => "; the URL-safe alphabet is not accepted: write + for - and / for _",
                _ => ", which is not one of A-Z, a-z, 0-9, + and /",
            };
            format!("is not base64: it has {character:?} at byte {at}{hint}")
        }
        DecodeError::InvalidLength(_) => "is not base64: its end is missing".to_owned(),
        DecodeError::InvalidLastSymbol(number, _) => {
            format!("is not base64: its last character, at byte {}, has unused bits that are not 0", place(number))
        }
        DecodeError::InvalidPadding => "is not base64: it ends with too few or too many `=`".to_owned(),
    });
    Ok(decoded.map(|()| bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::decoded;

    #[test]
    fn lines_may_be_broken_and_what_is_wrong_is_told_with_its_place() {
        for text in ["YWJjZGU=", "YWJj\r\nZGU=\r\n", " YWJj ZG\tU =", "Y\nW\nJ\njZGU\n="] {
            assert_eq!(decoded(text).unwrap(), Ok(b"abcde".to_vec()), "{text:?}");
        }
        for (text, message) in [
            ("YWJj\r\nZ*U=", "it has '*' at byte 7, which is not one of A-Z, a-z, 0-9, + and /"),
            ("YW-_", "it has '-' at byte 2; the URL-safe alphabet is not accepted: write + for - and / for _"),
            ("YW\u{e9}j", "it has '\u{e9}' at byte 2, which is not one of A-Z, a-z, 0-9, + and /"),
            ("YWJj\nY", "its end is missing"),
            ("YWJj\nZZ==", "its last character, at byte 6, has unused bits that are not 0"),
            ("YWJj\nYQ", "it ends with too few or too many `=`"),
            ("YQ==YWJj", "it has a `=` before its end, at byte 2"),
        ] {
            assert_eq!(decoded(text).unwrap(), Err(format!("is not base64: {message}")), "{text:?}");
        }
    }
}
