//! What is accepted ends where serde_json says, and all instruction sets agree. Text is also padded to where chunks
//! end, which the fuzzer would rarely find.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

fuzz_target!(|text: &str| {
    let (padding, text) = text.split_at_checked(1).unwrap_or(("", text));
    let padded = 2048 - padding.bytes().next().map_or(0, usize::from);
    for text in [text.to_owned(), format!("[\"{}\",{text}]", "x".repeat(padded))] {
        if !text.starts_with(['{', '[', '"']) {
            continue;
        }
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<IgnoredAny>();
        let expected = values.next().and_then(Result::ok).map(|_| values.byte_offset());
        let ends = arawn::fuzzing::ends(&text);
        assert!(ends.iter().all(|end| end.is_none() || *end == expected), "{ends:?}, but {expected:?}");
        assert!(ends[1..].windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
    }
});
