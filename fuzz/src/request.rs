//! A request is understood the same whether it is long, and scanned, or short, and read byte by byte.

/// `bytes` are the request.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // White space makes it long.
    let padded = format!("{text}{}", " ".repeat(2048));
    let [long, short] = [arawn::fuzzing::request(&padded), arawn::fuzzing::request(text)];
    assert_eq!(long.as_ref().ok(), short.as_ref().ok());
    assert_eq!(long.is_err(), short.is_err());
    if long.is_ok() {
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    }
}
