//! Bytes in JSON.

use std::borrow::Cow;
use std::fmt;

use base64::DecodeError;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// How a JSON string stands for bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// The text itself.
    #[default]
    Utf8,
    /// RFC 4648's standard alphabet; encoded with padding, decoded with or without it, and with lines broken anywhere.
    Base64,
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// By hand, because a derived one does not say what it must be where it is no string.
impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Encoding;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`utf8` or `base64`")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Encoding, E> {
                match name {
                    "utf8" => Ok(Encoding::Utf8),
                    "base64" => Ok(Encoding::Base64),
                    _ => Err(E::invalid_value(Unexpected::Str(name), &self)),
                }
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl Encoding {
    /// The string for `bytes`; an error where they are no text, which names the first byte that is none.
    pub fn encode(self, bytes: Vec<u8>) -> Result<String, String> {
        match self {
            Encoding::Base64 => Ok(base64(&bytes)),
            Encoding::Utf8 => String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                let byte = error.as_bytes()[at];
                format!("byte {at} (0x{byte:02x}) is not UTF-8; with the encoding `base64` it can be had")
            }),
        }
    }

    /// The bytes for `text`; an error where it is no base64, which names the first character that is none.
    pub fn decode(self, text: Cow<'_, str>) -> Result<Vec<u8>, String> {
        match self {
            Encoding::Utf8 => Ok(text.into_owned().into_bytes()),
            Encoding::Base64 => decode_base64(&text),
        }
    }
}

/// White space counts for nothing: MIME and many programs break lines.
fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let symbols: Cow<'_, [u8]> = match text.bytes().any(|byte| is_blank(&byte)) {
        false => Cow::Borrowed(text.as_bytes()),
        true => Cow::Owned(text.bytes().filter(|byte| !is_blank(byte)).collect()),
    };
    // Where in the text the symbol of this number is.
    let place = |number: usize| {
        let symbols = text.bytes().enumerate().filter(|(_, byte)| !is_blank(byte));
        symbols.map(|(at, _)| at).nth(number).unwrap_or(text.len())
    };
    BASE64.decode(&symbols).map_err(|error| match error {
        DecodeError::InvalidByte(number, _) => {
            let at = place(number);
            let character = text[at..].chars().next().unwrap_or_default();
            format!("not base64: {character:?} at byte {at}")
        }
        DecodeError::InvalidLength(_) => "not base64: its end is missing".to_owned(),
        DecodeError::InvalidLastSymbol(number, _) => {
            format!("not base64: its last character, at byte {}, has bits that no byte takes", place(number))
        }
        DecodeError::InvalidPadding => "not base64: its padding is wrong".to_owned(),
    })
}

/// What stands for any bytes.
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::Encoding::{self, Base64, Utf8};

    #[test]
    fn bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        for count in [0, 1, 2, 3, 256] {
            let text = Base64.encode(all[..count].to_vec()).unwrap();
            assert_eq!(text.len() % 4, 0);
            assert_eq!(Base64.decode(text.as_str().into()).unwrap(), all[..count]);
            assert_eq!(Base64.decode(text.trim_end_matches('=').into()).unwrap(), all[..count]);
            let lines: String = text.chars().flat_map(|c| [c, '\r', '\n', ' ', '\t']).collect();
            assert_eq!(Base64.decode(lines.into()).unwrap(), all[..count]);
        }
        assert_eq!(Utf8.decode("é\0".into()).unwrap(), "é\0".as_bytes());
        assert_eq!(Utf8.encode("é\0".into()).unwrap(), "é\0");
        assert_eq!(Base64.encode(b"\xfb\xff?".to_vec()).unwrap(), "+/8/");
    }

    #[test]
    fn errors_say_where() {
        let error = |encoding: Encoding, bytes: &[u8]| encoding.encode(bytes.to_vec()).unwrap_err();
        assert!(error(Utf8, b"a\xc3\xa9\xffb").starts_with("byte 3 (0xff) is not UTF-8; with the encoding `base64`"));
        assert!(error(Utf8, b"ab\xc3").starts_with("byte 2 (0xc3)"));
        for (text, wanted) in [
            ("YWJj\r\nY*Jj", "not base64: '*' at byte 7"),
            ("YW-_", "not base64: '-' at byte 2"),
            ("YWé=", "not base64: 'é' at byte 2"),
            ("YWJjY", "not base64: its end is missing"),
            ("YWJjZZ", "not base64: its last character, at byte 5,"),
            ("YQ=", ""),
        ] {
            match Base64.decode(text.into()) {
                Ok(_) => assert_eq!(wanted, "", "{text}"),
                Err(error) => assert!(!wanted.is_empty() && error.starts_with(wanted), "{text}: {error}"),
            }
        }
    }
}
