#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::*;
use serde::de::IgnoredAny;
use serde_json::Value;

#[test]
fn what_is_no_json_is_told_in_plain_words() {
    let deep = "[".repeat(200);
    for (json, words) in [
        ("[1", "the text ends inside a list"),
        ("{\"a\":1", "the text ends inside an object"),
        ("\"a", "the text ends inside a string"),
        ("", "the text ends before a value"),
        ("\"a\nb\"", "a control character stands inside a string; write it as an escape, such as `\\n`"),
        ("[1 2]", "a `,` or `]` is missing"),
        ("{\"a\":1 2}", "a `,` or `}` is missing"),
        ("{\"a\" 1}", "a `:` is missing"),
        ("nul!", "a word is neither `true`, `false` nor `null`"),
        ("hello", "a value is missing"),
        ("\"\\x\"", "a `\\` does not begin a valid escape; a backslash itself is written `\\\\`"),
        ("01", "a number is incomplete, or begins with a 0"),
        ("{1:2}", "a key must be a string in double quotes"),
        ("1e400", "a number is out of range: the largest is about 1.8e308"),
        (&deep, "it is nested more than 127 levels deep"),
        ("{} {}", "more text follows the value"),
        ("[1,]", "a comma follows the last value"),
        ("\"\\ud800\"", "an escape is only half of a surrogate pair: the text was cut between the halves"),
        ("\"\\ud800\\n\"", "an escape is only half of a surrogate pair: the text was cut between the halves"),
        ("\"\\udc00\"", "an escape is only half of a surrogate pair: the text was cut between the halves"),
    ] {
        assert_eq!(syntax(&serde_json::from_str::<Value>(json).unwrap_err()), words, "{json}");
    }
    // To serde_json, text that ends inside a literal ends before a value.
    assert_eq!(syntax(&serde_json::from_str::<IgnoredAny>("tru").unwrap_err()), "the text ends before a value");
}

#[test]
fn the_path_of_a_byte() {
    let json = r#"{"a":[{"b\"}":1},{"c":"x,[{","d":2}],"e":3}"#;
    for (at, path) in [("1}", ".a[0].b\"}"), ("x,", ".a[1].c"), ("2}", ".a[1].d"), ("3}", ".e"), ("{\"a", "")] {
        assert_eq!(path_at(json, json.find(at).unwrap()), path, "{at}");
    }
    assert_eq!(path_at(&"[".repeat(100), 100), "[0]".repeat(12) + "…");
    assert_eq!(path_at("\"\\", 100), "");
}

#[test]
fn halves_of_surrogate_pairs_become_the_replacement_character() {
    for (json, text) in [
        (r#""\ud83e\udd80""#, Some("🦀")),
        (r#""\ud800""#, Some("\u{fffd}")),
        (r#""a\udc00\ud800b""#, Some("a\u{fffd}\u{fffd}b")),
        (r#""\ud800\ud83e\udd80\n\u0041""#, Some("\u{fffd}🦀\nA")),
        (r#""\\ud800\ud800""#, Some("\\ud800\u{fffd}")),
        (r#""é\"\uD800é""#, Some("é\"\u{fffd}é")),
        ("7", None),
        ("[\"a\"]", None),
    ] {
        assert_eq!(text_of(json).as_deref(), text, "{json}");
    }
}
