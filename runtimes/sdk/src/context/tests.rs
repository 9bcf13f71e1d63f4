use super::{Context, Path, text};

const DOCUMENT: &str = r#"{"fetch":{"body":{"items":[{"id":1.50},[7,8]],"total":2,"0":"zero","none":null,"empty":[],"bare":{}}},
    "api.v2":{"":{"\"q":true}},"first name":"Ada","é\n":"x"}"#;

fn context(json: &'static str) -> Context {
    serde_json::from_str(json).unwrap()
}

fn found(path: &str) -> &'static str {
    context(DOCUMENT).find(&Path::parse(path).unwrap()).unwrap().get()
}

fn missing(path: &str) -> String {
    context(DOCUMENT).find(&Path::parse(path).unwrap()).unwrap_err().to_string()
}

#[test]
fn paths_lead_to_what_is_there_byte_for_byte() {
    for (path, json) in [
        ("fetch.body.items.0.id", "1.50"),
        ("fetch.body.items.1", "[7,8]"),
        ("fetch.body.items.1.1", "8"),
        ("fetch.body.0", r#""zero""#),
        ("fetch.body.none", "null"),
        (r#""fetch".body."0""#, r#""zero""#),
        (r#""api.v2"."""#, r#"{"\"q":true}"#),
        (r#""api.v2".""."\"q""#, "true"),
        ("first name", r#""Ada""#),
        (r#""\u00e9\n""#, r#""x""#),
        (".", DOCUMENT),
    ] {
        assert_eq!(found(path), json, "{path}");
    }
}

#[test]
fn a_key_that_is_no_text_keeps_no_other_from_being_found() {
    let json = r#"{"\ud800":1,"a":{"b\udc00\u00e9":2,"c":"\ud83e"},"\ud83e\udd80":3}"#;
    for (path, found) in [("a.c", r#""\ud83e""#), ("\u{1f980}", "3"), ("\u{fffd}", "1"), ("a.b\u{fffd}\u{e9}", "2")] {
        assert_eq!(context(json).find(&Path::parse(path).unwrap()).unwrap().get(), found, "{path}");
    }
    let missing = context(json).find(&Path::parse("b").unwrap()).unwrap_err().to_string();
    assert!(missing.starts_with("context has no key \"b\" (it has: a, "), "{missing}");
}

#[test]
fn a_missing_path_says_how_far_it_got() {
    for (path, text) in [
        ("fetsch", r#"context has no key "fetsch" (it has: "api.v2", fetch, "first name", "é\n")"#),
        ("fetch.body.itmes.0", r#"context.fetch.body has no key "itmes" (it has: 0, bare, empty, items, none, total)"#),
        ("fetch.body.items.2", "context.fetch.body.items has no index 2 (its last is 1)"),
        ("fetch.body.items.name", r#"context.fetch.body.items is a list of 2: "name" is no index"#),
        ("fetch.body.items.01", r#"context.fetch.body.items is a list of 2: "01" is no index"#),
        ("fetch.body.items.-1", r#"context.fetch.body.items is a list of 2: "-1" is no index"#),
        (r#"fetch.body.items."0""#, r#"context.fetch.body.items is a list of 2: "0" is no index"#),
        (
            "fetch.body.items.99999999999999999999",
            r#"context.fetch.body.items is a list of 2: "99999999999999999999" is no index"#,
        ),
        ("fetch.body.empty.0", "context.fetch.body.empty is an empty list: no index 0"),
        ("fetch.body.bare.x", r#"context.fetch.body.bare is an empty object: no key "x""#),
        ("fetch.body.none.x", r#"context.fetch.body.none is null, and has no "x""#),
        ("fetch.body.total.x", r#"context.fetch.body.total is a number, and has no "x""#),
        (r#""api.v2".""."\"q".x"#, r#"context."api.v2".""."\"q" is a boolean, and has no "x""#),
        (r#""first name".0"#, r#"context."first name" is a string, and has no "0""#),
    ] {
        assert_eq!(missing(path), text, "{path}");
    }
}

#[test]
fn a_long_message_is_cut() {
    let keys: Vec<String> = (0..1000).map(|n| format!(r#""{n:0>1000}":{n}"#)).collect();
    let context: Context = serde_json::from_str(format!("{{{}}}", keys.join(",")).leak()).unwrap();
    let text = context.find(&Path::parse(&"x".repeat(1000)).unwrap()).unwrap_err().to_string();
    assert!(text.len() < 1000 && text.ends_with("and 990 more)"), "{text}");
}

#[test]
fn what_is_no_path() {
    for (path, text) in [
        ("", "the path is empty; the whole context is `.`"),
        ("..", "`..` at byte 0: a key is missing; an empty one is written \"\""),
        ("a..b", "`a..b` at byte 2: a key is missing; an empty one is written \"\""),
        (".a", "`.a` at byte 0: a key is missing; an empty one is written \"\""),
        ("é.", "`é.` at byte 3: a key is missing; an empty one is written \"\""),
        (r#"a."b\""#, r#"`a."b\"` at byte 2: the quote is not closed"#),
        (r#"a."b"c"#, r#"`a."b"c` at byte 2: a dot is missing after the closing quote"#),
        (r#""\x""#, r#"`"\x"` at byte 0: not a JSON string"#),
        ("\"\n\"", "`\"\n\"` at byte 0: not a JSON string"),
    ] {
        assert_eq!(Path::parse(path).unwrap_err().to_string(), text, "{path}");
    }
}

#[test]
fn a_key_twice_counts_last_and_escapes_are_keys() {
    let context = context(r#"{"a":1,"\u0061":2}"#);
    assert_eq!(context.find(&Path::parse("a").unwrap()).unwrap().get(), "2");
}

#[test]
fn values_nest_without_limit() {
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)).leak();
    let path = Path::parse(["0"; 500].join(".").as_str()).unwrap();
    assert_eq!(context(deep).find(&path).unwrap().get(), &deep[500..deep.len() - 500]);
}

#[test]
fn text_is_a_string_or_its_json() {
    let text = |json: &'static str| text(serde_json::from_str(json).unwrap());
    assert_eq!(text(r#""a\"\u00e9\n""#).unwrap(), "a\"é\n");
    assert_eq!(text(r#"[1.0,"a"]"#).unwrap(), r#"[1.0,"a"]"#);
    assert!(text(r#""\ud800""#).is_err());
}
