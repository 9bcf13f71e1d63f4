#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod random;

use super::bits::CHUNK;
use super::cpu;
use super::{ends, read_plain_object};
use crate::protocol::{ExecuteRequest, RuntimeOutput};
use random::{Random, damage, document};
use serde::de::IgnoredAny;

/// Where serde_json finds the end of the value that the text begins with.
fn expected(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// The byte-by-byte reader finds the same end as serde_json, for texts that are not nested too deep for it. Each
/// instruction set finds that end or declines, and all of them do the same. Returns whether they accept the text.
#[track_caller]
fn assert_right(text: &str) -> bool {
    let (ends, expected) = (ends(text), expected(text));
    let [plain, wide @ ..] = &ends[..] else { unreachable!() };
    assert_eq!(*plain, expected, "{text}");
    for end in wide {
        assert!(end.is_none() || *end == expected, "{end:?} where serde_json says {expected:?}: {text}");
        assert!(*end == wide[0], "{ends:?} by different instructions: {text}");
    }
    wide.iter().all(Option::is_some)
}

/// As [`assert_right`]; and the scanner accepts whatever serde_json accepts.
#[track_caller]
fn assert_same(text: &str) {
    let accepted = assert_right(text);
    assert!(cpu::LEVELS.is_empty() || accepted == expected(text).is_some(), "declined: {text}");
}

/// Right and wrong values at the edges of JSON's grammar.
#[rustfmt::skip]
const VALUES: &[&str] = &[
    "", "0", "-0", "1", "-1", "12", "10", "01", "00", "-01", "-", "--1", "+1", "1.", ".1", "-.1", "1.5", "1.05",
    "1.50", "0.0", "0.", "00.1", "1..5", "1.5.2", "1.2.3.4", "1.-5", "1.5-2", "1-2", "-1.25", "1e5", "1E5", "1e+5",
    "1e-5", "1e", "1e+", "1e-", "1e05", "1e-05", "1e00", "0e0", "-0e-0", "0.0e-00", "01e5", "1.e5", "1.5e5",
    "1.5e5.5", "1e5e5", "1e5.5", "e5", "-e5", "1ee5", "1e++5", "1e5+", "1e5-3", "1+1", "1e1.",
    "123456789012345678901234567890", "1.0000000000000000000000000000000000000000000001", "-123.456e-789", "0x10",
    "1a", "1_000", "1,5", "Infinity", "NaN", "nan", "inf", "true", "false", "null", "True", "TRUE", "tru", "truee",
    "true1", "1true", "truefalse", "true false", "nul", "nulll", "null0", "fals", "falsee", "fa lse", "t", "f", "n",
    "nullnull", "trve", "frue", "nrue", "nalse", "null:", "true\"", "\"true", "\"\"", "\"a\"", "\"a", "a\"", "'a'",
    "\"\"\"", "\"\\\"\"", "\"\\\"", "\"\\\\\"", "\"\\\\\\\"\"", "\"\\\\\\\"", "\"\\n\\r\\t\\b\\f\\/\"", "\"\\a\"",
    "\"\\v\"", "\"\\0\"", "\"\\x41\"", "\"\\u0041\"", "\"\\uD800\"", "\"\\uDC00\\uD800\"", "\"\\uDFAA\"", "\"\\u00\"",
    "\"\\u00g0\"", "\"\\u\"", "\"\\U0041\"", "\"\\ u0041\"", "\"\\", "\\", "\\\"a\\\"", "\\n", "\"\n\"", "\"\t\"",
    "\"\u{0}\"", "\"\u{1f}\"", "\"\u{7f}\"", "\"é\"", "\"\u{10ffff}\"", "\"\u{2028}\"", "é", "\u{7f}", "\u{feff}",
    "\u{a0}", "\"a\"\"b\"", "\"a\" \"b\"", "\"a\":1", "\"a\":", ":1", ":", ",", "1 2", "1 true", "1,", ",1", "1,,2",
    "1,2", "1 ,2", "[]", "{}", "[ ]", "{ }", "[\n]", "{\t}", "[1]", "[1 ]", "[ 1]", "[1,]", "[,1]", "[,]", "[1,,2]",
    "[1 2]", "[1:2]", "[\"a\":1]", "[\"a\",\"b\"]", "[", "]", "{", "}", "[}", "{]", "[[]", "[]]", "[[]]", "[{}]",
    "{[]}", "[{]}", "{[}]", "{{}}", "[[],[]]", "[[] []]", "[{},{}]", "[{}{}]", "[[]1]", "[1[]]", "[true[]]",
    "[\"a\"[]]", "[[]\"a\"]", "[{}\"a\"]", "[{}:1]", "{\"a\":1}", "{\"a\": 1}", "{\"a\" :1}", "{\"a\"\n:\t1}",
    "{ \"a\" : 1 , \"b\" : 2 }", "{\"a\"}", "{\"a\":}", "{\"a\",}", "{\"a\":1,}", "{,\"a\":1}", "{\"a\":1 \"b\":2}",
    "{\"a\":1,\"b\"}", "{\"a\":1,\"b\":}", "{\"a\":1,2}", "{\"a\":1,2,\"b\":3}", "{\"a\"::1}", "{\"a\":1:2}",
    "{\"a\":\"b\":\"c\"}", "{a:1}", "{1:1}", "{1 :1}", "{null:1}", "{true :1}", "{[]:1}", "{{}:1}", "{\"a\":[]:1}",
    "{\"a\":1,[]:2}", "{\"a\":{}{}}", "{\"a\":{},{}}", "{\"a\":{},\"b\"}", "{\"a\":[],1}", "{\"a\":{},\"b\":[]}",
    "{\"a\":{\"b\":[{\"c\":{}}]}}", "[{\"a\":[1,{\"b\":2}],\"c\":3},4]", "[{\"a\":1},\"b\":2]", "[{},\"b\":2]",
    "{\"a\":[],\"b\":[\"c\":1]}", "[[1],[2],{\"a\":3}]", "{\"a\":1}}", "[1]]", "{\"a\":[1}]", "/**/1", "1//", "#",
    "1;", "[1\u{b}]", "[1\u{c}]", "[1\u{0}]", "\u{85}1", "[\u{1f}]",
];

#[test]
fn the_grammar_is_json_wherever_it_stands() {
    for value in VALUES {
        for (before, after) in
            [("[", "]"), ("[1,", ",2]"), ("{\"k\":", "}"), ("{\"a\":[", "],\"b\":{}}"), ("[ ", " ] "), ("", "")]
        {
            let text = [before, value, after].concat();
            if text.starts_with(['[', '{', '"']) {
                assert_same(&text);
            }
        }
        // The value stands around the end of a block, and around the end of a chunk.
        let around = |end: usize| end.saturating_sub(6 + value.len())..end + 2;
        for length in (0..3).chain(around(64)).chain(around(CHUNK)) {
            assert_same(&format!("[\"{}\",{value},\"{}\"]", "x".repeat(length), "y".repeat(length % 7)));
        }
        for length in around(CHUNK).step_by(2) {
            assert_same(&format!("{{\"{}\":[{value}]}}{value}", "x".repeat(length)));
        }
    }
}

#[test]
fn digits_may_go_on_for_blocks() {
    for before in (0..64).step_by(3) {
        for digits in [60, 64, 70, 128, 150, 2500] {
            let digits = "7".repeat(digits);
            for number in ["D", "-D", "0.D", "D.D", "0.D.5", "D.5.D", "1eD", "1e-D", "1eD.5", "1.De5", "0D", "1.5D.5"] {
                let number = number.replace('D', &digits);
                assert_right(&format!("[\"{}\",{number}]", "x".repeat(before)));
            }
        }
    }
}

#[test]
fn what_is_right_is_accepted() {
    for index in 0..ends("").len() {
        let fine = |text: &str| assert_eq!(ends(text)[index], Some(text.len()), "{text:.200}");
        for depth in [1, 2, 31, 32, 33, 63, 64] {
            fine(&["[".repeat(depth), "]".repeat(depth)].concat());
            fine(&[r#"{"a":"#.repeat(depth), "0".to_owned(), "}".repeat(depth)].concat());
            let mixed = |n: usize| if n.is_multiple_of(3) { (r#"{"a":"#, "}") } else { ("[", "]") };
            let open: String = (0..depth).map(|n| mixed(n).0).collect();
            let close: String = (0..depth).rev().map(|n| mixed(n).1).collect();
            fine(&[&open, "1", &close].concat());
            if depth < 64 {
                fine(&format!("[{}3]", format!("{open}2{close},").repeat(50)));
            }
        }
        for seed in 0..30 {
            let mut random = Random(seed * 2 + 1);
            fine(&document(&mut random, 30_000));
        }
        // Deeper values are declined.
        assert_eq!(ends(&["[".repeat(65), "0".to_owned(), "]".repeat(65)].concat())[index], None);
    }
}

#[test]
fn what_comes_after_a_value_is_not_looked_at() {
    for after in
        ["", " ", "]", "}", ",", ":", "\"", "\\", "\u{0}", "x", "1.2.3", "tru", "[[[[", "}}}}", "\u{e9}", "{\"a\"::"]
    {
        for length in (0..3).chain(55..66).chain(CHUNK - 15..CHUNK) {
            for value in ["[]", "{\"a\":[1]}", "\"b\"", "[true]"] {
                let text = format!("{}{}{after}", value, if value == "\"b\"" { "" } else { " " });
                assert_right(&text);
                let text = format!("[\"{}\",{value}]{after}", "x".repeat(length));
                assert!(cpu::LEVELS.is_empty() || assert_right(&text), "{text}");
                let text = format!("\"{}\"{after}", "x".repeat(length));
                assert!(cpu::LEVELS.is_empty() || assert_right(&text), "{text}");
            }
        }
    }
}

#[test]
fn nothing_damaged_is_accepted() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut tried, mut right) = (0, 0);
    while tried < 6_000 {
        let bytes = [20, 100, 300, 900, 2100][random.below(5)];
        let document = document(&mut random, bytes);
        for _ in 0..20 {
            let mut text = document.clone().into_bytes();
            damage(&mut random, &mut text);
            let Ok(text) = String::from_utf8(text) else { continue };
            if text.starts_with(['{', '[', '"']) {
                tried += 1;
                right += usize::from(expected(&text).is_some());
                assert_same(&text);
            }
        }
    }
    assert!(right > tried / 20 && right < tried, "{right} of {tried}");
}

#[test]
fn a_request_is_read_as_serde_json_reads_it() {
    let mut random = Random(7);
    let mut read = 0;
    for _ in 0..5_000 {
        let long = "x".repeat([11, 1100][random.below(2)]);
        let mut members: Vec<String> = Vec::new();
        for _ in 0..random.below(7) {
            let key = random.one_of(&[
                "executor",
                "runtime",
                "input",
                "limits",
                "job",
                "meta",
                "unknown",
                "r\\u0075ntime",
                "",
            ]);
            members.push(format!("\"{key}\":{}", random.one_of(REQUEST_VALUES).replace("LONG", &long)));
        }
        members.push(r#""executor":"main""#.to_owned());
        members.push(r#""runtime" : "passthrough""#.to_owned());
        members.push(format!(r#""input":{{"context":["{long}"]}}"#));
        members.truncate(members.len() - random.below(3));
        let at = random.below(members.len());
        members.rotate_left(at);
        let white = random.one_of(&["", " ", "\n"]);
        let text = format!("{white}{{{white}{}{white}}}{white}", members.join(","));
        let quick = read_plain_object::<ExecuteRequest<'_>>(&text);
        let slow: Result<ExecuteRequest<'_>, _> = serde_json::from_str(&text);
        if let Some(quick) = quick {
            read += 1;
            assert_eq!(format!("{quick:?}"), format!("{:?}", slow.unwrap()), "{text}");
        }
    }
    assert!(read > 100, "{read}");
}

#[test]
fn a_long_reply_of_a_guest_is_read_like_a_short_one() {
    let read = |bytes: Vec<u8>| {
        let reply = RuntimeOutput::parse(bytes, "");
        reply.map(|reply| reply.output().to_owned()).map_err(|error| error.code())
    };
    let mut random = Random(11);
    let mut right = 0;
    for _ in 0..5_000 {
        let mut members: Vec<String> = Vec::new();
        if random.below(4) > 0 {
            members.push(r#""status":"ok""#.to_owned());
        }
        for _ in 0..random.below(3) {
            let key = random.one_of(&["status", "output", "output", "error", "other"]);
            let value = random.one_of(&["\"ok\"", "\"error\"", "\"é\\n\"", "null", "1.50", "{}", "{\"a\":[1, {}]}"]);
            members.push(format!("\"{key}\" : {value}"));
        }
        let mut text = format!("{{{}}}", members.join(",")).into_bytes();
        if random.below(4) == 0 {
            damage(&mut random, &mut text);
        }
        let short = read(text.clone());
        right += usize::from(short.is_ok());
        let printed = String::from_utf8_lossy(&text).into_owned();
        text.resize(text.len() + 2000, b' ');
        assert_eq!(read(text), short, "{printed}");
    }
    assert!(right > 500, "{right}");
}

#[rustfmt::skip]
const REQUEST_VALUES: &[&str] = &[
    "\"main\"", "\"passthrough\"", "\"ü\"", "\"a\\nb\"", "\"\"", "\"LONG\"", "1", "-1", "1.5", "01", "true", "false",
    "null", "nul", "{}", "[]", "[1]", "{\"timeout_ms\":5}", "{\"timeout_ms\":5,\"fuel\":null}", "{\"timeout_ms\":-5}",
    "{\"timeout_ms\":\"LONG\"}", "{\"config\":{\"a\":[1,\"LONG\"]},\"context\":null}",
    "{\"config\":1 ,\"context\": \"LONG\" }", "{\"config\":{},\"config\":{}}", "{\"config\":[\"LONG\"}",
    "{\"other\":1}", "{\"config\":LONG}", "{\"context\":[\"\\ud800\"]}", "{\"config\":1e999,\"context\":-0}",
];
