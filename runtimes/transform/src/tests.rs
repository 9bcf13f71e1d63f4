use serde_json::{Value, json};

use super::transform;

/// What earlier steps produced; `ways` has keys that need quotes.
const CONTEXT: &str = r#"{"fetch":{"body":{"items":[{"id":7,"name":"Ada"},{"id":8,"name":"Grace \"G\""}],"total":12345678901234567890123}},
    "ways":{"a.b":"dotted","":"empty","}}":"braces","x\"}}":"both","'":"quote"},"none":null,"flag":true}"#;

fn answer(config: Value) -> String {
    let input = format!(r#"{{"config":{config},"context":{CONTEXT}}}"#).leak();
    String::from_utf8(arawn_sdk::respond(input.as_bytes(), transform)).unwrap()
}

/// The output's text, byte for byte.
#[track_caller]
fn output(config: Value) -> String {
    let answer = answer(config);
    let output = answer.strip_prefix(r#"{"status":"ok","output":"#).and_then(|rest| rest.strip_suffix('}'));
    output.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[track_caller]
fn error(config: Value) -> String {
    let answer: Value = serde_json::from_str(&answer(config)).unwrap();
    answer["error"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn an_expression_gives_the_value_byte_for_byte() {
    for (path, json) in [
        ("fetch.body.items.0", r#"{"id":7,"name":"Ada"}"#),
        ("fetch.body.items.1.name", r#""Grace \"G\"""#),
        ("fetch.body.total", "12345678901234567890123"),
        (r#"ways."a.b""#, r#""dotted""#),
        (r#"ways."""#, r#""empty""#),
        ("none", "null"),
        (".", CONTEXT),
    ] {
        assert_eq!(output(json!({"expression": path})), json, "{path}");
    }
}

#[test]
fn a_template_is_filled_in() {
    for (template, text) in [
        ("", ""),
        ("no path", "no path"),
        ("{{fetch.body.items.0.name}}", "Ada"),
        ("Dear {{ fetch.body.items.1.name }},", "Dear Grace \"G\","),
        ("{{flag}}{{none}}/{{fetch.body.total}}", "truenull/12345678901234567890123"),
        ("{\"item\":{{fetch.body.items.0}}}", r#"{"item":{"id":7,"name":"Ada"}}"#),
        ("{{{fetch.body.items.0.id}}}", "{7}"),
        ("{ } }} } {", "{ } }} } {"),
        ("{{'{{'}}name}}", "{{name}}"),
        ("{{ '{{ x }}' }}", "{{ x }}"),
        ("{{'}'}}{{''}}", "}"),
        (r#"{{ways."a.b"}} {{ways.""}} {{ways."}}"}} {{ ways."x\"}}" }}"#, "dotted empty braces both"),
        (r#"{{ways.'}}"#, "quote"),
        ("é{{flag}}é", "étrueé"),
    ] {
        assert_eq!(output(json!({"template": template})), json!(text).to_string(), "{template}");
    }
}

#[test]
fn a_template_that_is_none() {
    for (template, text) in [
        ("{{", "template: the `{{` at byte 0 is not closed; to write a `{{`, write `{{'{{'}}`"),
        ("é{{{flag", "template: the `{{` at byte 3 is not closed"),
        ("{{flag}", "template: the `{{` at byte 0 is not closed"),
        ("{{'x}}", "template: the `{{` at byte 0 is not closed"),
        ("{{'x'y}}", "template: the `{{` at byte 0 is not closed"),
        ("{{ways.\"}}", "template: the `{{` at byte 0 is not closed"),
        ("{{}}", "template: the path is empty"),
        ("{{flag..x}}", "template: `flag..x` at byte 5: a key is missing"),
        ("{{flag }} {{flg}}", r#"template: context has no key "flg" (it has: fetch, flag, none, ways)"#),
        ("{{flag.x}}", r#"template: context.flag is a boolean, and has no "x""#),
    ] {
        let error = error(json!({"template": template}));
        assert!(error.starts_with(text), "{template}: {error}");
    }
}

#[test]
fn mappings_keep_their_order_and_nest() {
    let text = r#"{"z":"flag","a":{"total":"fetch.body.total","none":{"empty":{}}},"first":"fetch.body.items.0"}"#;
    let expected =
        r#"{"z":true,"a":{"total":12345678901234567890123,"none":{"empty":{}}},"first":{"id":7,"name":"Ada"}}"#;
    let input = format!(r#"{{"config":{{"mappings":{text}}},"context":{CONTEXT}}}"#).leak();
    let answer = String::from_utf8(arawn_sdk::respond(input.as_bytes(), transform)).unwrap();
    assert_eq!(answer, format!(r#"{{"status":"ok","output":{expected}}}"#));
}

#[test]
fn a_mapping_that_is_none() {
    for (mappings, text) in [
        (json!({"a": {"b": "fetch.bdy"}}), r#"mappings.a.b: context.fetch has no key "bdy" (it has: body)"#),
        (json!({"a": ""}), "mappings.a: the path is empty"),
        (json!({"a": {"b": 7}}), "config.mappings.a.b must be a path or an object of paths, and is a number"),
        (json!({"a": ["flag"]}), "config.mappings.a must be a path or an object of paths, and is a list"),
        (json!("flag"), "config.mappings must be an object of paths, and is a string"),
    ] {
        let error = error(json!({"mappings": mappings}));
        assert!(error.starts_with(text), "{error}");
    }
    let twice = br#"{"config":{"mappings":{"a":"x","b":{"c":"x","\u0063":"y"}}}}"#;
    let answer = String::from_utf8(arawn_sdk::respond(twice, transform)).unwrap();
    assert!(answer.contains(r#""config.mappings.b.\\u0063 is there twice""#), "{answer}");
}

#[test]
fn a_default_stands_for_what_is_missing_and_for_nothing_else() {
    assert_eq!(output(json!({"expression": "fetch.bdy.x", "default": [1.5]})), "[1.5]");
    assert_eq!(output(json!({"expression": "flag.x", "default": null})), "null");
    assert_eq!(output(json!({"expression": "none", "default": 1})), "null");
    assert_eq!(output(json!({"template": "{{x}}-{{flag}}-{{fetch.x}}", "default": "?"})), r#""?-true-?""#);
    assert_eq!(output(json!({"template": "{{x}}", "default": {"a": "b"}})), r#""{\"a\":\"b\"}""#);
    assert_eq!(output(json!({"mappings": {"a": "x", "b": {"c": "flag"}}, "default": 0})), r#"{"a":0,"b":{"c":true}}"#);
    assert!(error(json!({"expression": "a..b", "default": 0})).starts_with("expression: `a..b` at byte 2"));
}

#[test]
fn exactly_one_is_asked_for() {
    assert_eq!(error(json!({})), "config: one of `expression`, `template` and `mappings` is needed");
    assert_eq!(error(json!({"default": 1})), "config: one of `expression`, `template` and `mappings` is needed");
    for config in [
        json!({"expression": "a", "template": "b"}),
        json!({"expression": "a", "mappings": {}}),
        json!({"template": "a", "mappings": {}}),
        json!({"expression": "a", "template": "b", "mappings": {}}),
    ] {
        assert_eq!(error(config), "config: only one of `expression`, `template` and `mappings` may be there");
    }
    let misspelt = error(json!({"expresion": "a"}));
    let known = "known are `expression`, `template`, `mappings`, `default`";
    assert_eq!(misspelt, format!("config.expresion is no key that is known here; {known}"));
}
