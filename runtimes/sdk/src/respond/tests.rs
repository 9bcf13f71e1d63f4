use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::respond;

#[derive(Deserialize)]
struct Config {
    times: u32,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    word: &'static str,
}

fn repeat(config: Config, context: Context) -> Result<String, String> {
    match config.times {
        0 => Err("times is \"0\"".to_owned()),
        times => Ok(context.word.repeat(times as usize)),
    }
}

fn repeated(input: &'static str) -> String {
    String::from_utf8(respond(input.as_bytes(), repeat)).unwrap()
}

/// The error text of an answer that must be exactly an error.
fn error_of(answer: &str) -> String {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Answer {
        status: String,
        error: String,
    }
    let answer: Answer = serde_json::from_str(answer).unwrap();
    assert_eq!(answer.status, "error");
    answer.error
}

fn echoed(input: String) -> String {
    let echo = |config: &'static RawValue, context: &'static RawValue| Ok::<_, String>([config, context]);
    String::from_utf8(respond(input.leak().as_bytes(), echo)).unwrap()
}

#[test]
fn ok() {
    let answer = repeated(r#"{"config":{"times":2},"context":{"word":"ab"}}"#);
    assert_eq!(answer, r#"{"status":"ok","output":"abab"}"#);
}

#[test]
fn error() {
    let answer = repeated(r#"{"config":{"times":0},"context":{}}"#);
    assert_eq!(answer, r#"{"status":"error","error":"times is \"0\""}"#);
}

#[test]
fn value_of_the_wrong_type() {
    let text = error_of(&repeated(r#"{"config":{"times":"two"},"context":{}}"#));
    assert_eq!(text, "config.times must be a whole number from 0 to 4294967295, and is a string");
    let text = error_of(&repeated(r#"{"config":{"times":2},"context":7}"#));
    assert_eq!(text, "context must be an object, and is a number");
}

#[test]
fn missing_keys_are_empty_objects() {
    assert_eq!(echoed("{}".to_owned()), r#"{"status":"ok","output":[{},{}]}"#);
    assert_eq!(repeated(r#"{"config":{"times":2}}"#), r#"{"status":"ok","output":""}"#);
    let text = error_of(&repeated(r#"{"context":{"word":"ab"}}"#));
    assert_eq!(text, "config.times is missing");
}

#[test]
fn null_is_not_missing() {
    assert_eq!(echoed(r#"{"config":null}"#.to_owned()), r#"{"status":"ok","output":[null,{}]}"#);
}

#[test]
fn unknown_keys_are_skipped() {
    let answer = repeated(r#"{"trace":{"id":[1]},"context":{"word":"a"},"config":{"times":1,"more":0}}"#);
    assert_eq!(answer, r#"{"status":"ok","output":"a"}"#);
}

#[test]
fn escaped_keys_are_keys() {
    assert_eq!(echoed(r#"{"\u0063onfig":1}"#.to_owned()), r#"{"status":"ok","output":[1,{}]}"#);
}

#[test]
fn input_that_is_not_a_runtime_input() {
    for (input, start) in [
        ("", "input: EOF while parsing a value"),
        ("[]", "input must be an object with config and context, and is a list"),
        (r#"{"config":{"times":1}} x"#, "input: trailing characters at line 1 column 24"),
        (r#"{"config":{"times":1},"config":{"times":2}}"#, "config is there twice"),
        (r#"{"config":{"times":1"#, "config.times: EOF while parsing an object at line 1 column 20"),
        (r#"{"config":{"times":1},"context":{"word":tru}}"#, "context: expected ident"),
    ] {
        let text = error_of(&repeated(input));
        assert!(text.starts_with(start), "{input}: {text}");
    }
    let text = error_of(&String::from_utf8(respond(b"{\"config\":\"\xff\"}", repeat)).unwrap());
    assert_eq!(text, "input: not UTF-8 at byte 11");
}

#[test]
fn raw_values_keep_every_byte() {
    let config = r#"[1.0,1e400,-0,123456789012345678901234567890,0.1000,"😀","\ud83d\ude00", "𝄞" ]"#;
    let answer = echoed(format!(r#"{{"config":{config},"context":"😀"}}"#));
    assert_eq!(answer, format!(r#"{{"status":"ok","output":[{config},"😀"]}}"#));
}

#[test]
fn raw_values_nest_without_limit() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let answer = echoed(format!(r#"{{"config":{deep},"context":{{"a":{deep}}}}}"#));
    assert_eq!(answer, format!(r#"{{"status":"ok","output":[{deep},{{"a":{deep}}}]}}"#));
}

#[test]
fn values_nest_to_a_limit() {
    let input = format!(r#"{{"config":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let echo = |config: Value, _: Value| Ok::<_, String>(config);
    let answer = String::from_utf8(respond(input.leak().as_bytes(), echo)).unwrap();
    let text = error_of(&answer);
    assert_eq!(text, format!("config{}… is nested more than 127 levels deep", "[0]".repeat(11)));
}

#[test]
fn output_that_cannot_be_json() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no such thing"))
        }
    }
    let broken = |_: Value, _: Value| Ok::<_, String>([Broken]);
    let answer = String::from_utf8(respond(b"{}", broken)).unwrap();
    assert_eq!(error_of(&answer), "output: no such thing");
}

#[test]
fn an_echo_fits_the_first_buffer() {
    let echo = |config: &'static RawValue, _: Value| Ok::<_, String>(config);
    let input = format!(r#"{{"config":"{}"}}"#, "x".repeat(1000)).leak();
    assert_eq!(respond(input.as_bytes(), echo).capacity(), input.len() + super::ENVELOPE_BYTES);
}
