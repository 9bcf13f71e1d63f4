//! A request is read the same whether it is long, and scanned, or short, and read byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // White space makes it long.
    let padded = format!("{text}{}", " ".repeat(2048));
    let [long, short] = [arawn::fuzzing::request(&padded), arawn::fuzzing::request(text)];
    assert_eq!(long.as_ref().ok(), short.as_ref().ok());
    assert_eq!(long.is_err(), short.is_err());
    if long.is_ok() {
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    }
});
