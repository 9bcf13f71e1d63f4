use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::of;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "they are only read")]
struct Config {
    path: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    max: u64,
    #[serde(default)]
    small: Option<u8>,
    #[serde(default)]
    flags: Vec<bool>,
    #[serde(default)]
    more: BTreeMap<String, Vec<Config>>,
    #[serde(default)]
    ratio: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    One,
    Other,
}

#[track_caller]
fn told<T: DeserializeOwned + std::fmt::Debug>(json: &str, name: &str) -> String {
    of(&serde_json::from_str::<T>(json).unwrap_err(), json, name)
}

#[test]
fn mistakes_are_told_in_words_of_json_with_their_path() {
    for (json, text) in [
        (r#"{"path":5}"#, "config.path must be a string, and is a number"),
        ("{\"path\":\n\n 5.5}", "config.path must be a string, and is a number"),
        (r#"{"max":1,"path":null,"kind":"one"}"#, "config.path must be a string, and is null"),
        (r#"{"path":{"a":"b"},"max":1}"#, "config.path must be a string, and is an object"),
        (r#"{"path":[1,2]}"#, "config.path must be a string, and is a list"),
        (r#"{"path":true}"#, "config.path must be a string, and is a boolean"),
        (r#"{"path":"a","max":"7"}"#, "config.max must be a whole number from 0 on, and is a string"),
        (r#"{"path":"a","max":-1}"#, "config.max must be a whole number from 0 on, and is -1"),
        (r#"{"path":"a","max":1.5}"#, "config.max must be a whole number from 0 on, and is 1.5"),
        (r#"{"path":"a","max":1e999}"#, "config.max is out of range: the largest number is about 1.8e308"),
        (r#"{"path":"a","small":300}"#, "config.small must be a whole number from 0 to 255, and is 300"),
        (r#"{"path":"a","ratio":[]}"#, "config.ratio must be a number, and is a list"),
        (r#"{"path":"a","flags":{}}"#, "config.flags must be a list, and is an object"),
        (r#"{"path":"a","flags":[true,false,"no"]}"#, "config.flags[2] must be true or false, and is a string"),
        (r#"{"path":"a","more":7}"#, "config.more must be an object, and is a number"),
        (
            r#"{"path":"a","more":{"x":[{"path":"b"},{"path":7}]}}"#,
            "config.more.x[1].path must be a string, and is a number",
        ),
        (r#"{"path":"a","more":{"x":[{"path":"b"},8]}}"#, "config.more.x[1] must be an object, and is a number"),
        (r#"{"path":"a","more":{"":[{"path":"b"},{}]}}"#, "config.more.[1].path is missing"),
        (r#"{"kind":"one"}"#, "config.path is missing"),
        (r#"{"path":"a","kind":"third"}"#, "config.kind must be `one` or `other`, and is `third`"),
        (r#"{"path":"a","kind":5}"#, "config.kind has no value that may stand there"),
        (r#"{"path":"a","path":"b"}"#, "config.path is there twice"),
        (
            r#"{"path":"a, expected b","max":"c, expected d"}"#,
            "config.max must be a whole number from 0 on, and is a string",
        ),
        (
            r#"{"path":"cut \ud83e"}"#,
            "config.path has half of a surrogate pair, which is no character: text was cut between the halves",
        ),
        ("[]", "config must be an object, and is a list"),
        ("7", "config must be an object, and is a number"),
    ] {
        assert_eq!(told::<Config>(json, "config"), text, "{json}");
    }
    let known = "known are `path`, `kind`, `max`, `small`, `flags`, `more`, `ratio`";
    let text = format!("config.max_byte is no key that is known here; {known}");
    assert_eq!(told::<Config>(r#"{"path":"a","max_byte":1}"#, "config"), text);
    assert_eq!(
        told::<Config>(r#"{"path":"a","more":{"x":[{"pth":1}]}}"#, "input"),
        format!("more.x[0].pth is no key that is known here; {known}")
    );
    assert_eq!(told::<()>("7", "it"), "it must be unit, and is a number");
}

#[test]
fn a_long_path_is_cut() {
    type Deep = serde_json::Value;
    let json = format!("{}7", r#"{"a":"#.repeat(200));
    assert_eq!(
        told::<Deep>(&json, "config"),
        format!("config{}… is nested more than 127 levels deep", ".a".repeat(12))
    );
}
