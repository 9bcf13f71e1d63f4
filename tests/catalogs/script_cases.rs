//! What the two interpreters make of scripts, case by case: `runtimes/javascript/cases.json` and `runtimes/lua/cases.json`.
//!
//! A case has a script, and what is expected of it. `mode` is how it reaches the interpreter: in the config of a call (left
//! out), as the script of an entry (`run`), or as that of a registration (`check`).
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "the tests call the C interface")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_catalog_register, arawn_execute_runtime, arawn_free, arawn_host_function_set, arawn_string_new,
};
use common::{Catalog, call, call_raw};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::fs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    script: Option<Value>,
    mode: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The JSON of `context`, byte for byte.
    context: Option<String>,
    /// The JSON of the reply's `output`, byte for byte.
    output: Option<String>,
    error: Option<String>,
    /// How the error begins, where the rest depends on how much stack there is.
    error_begins: Option<String>,
    /// The reply's code, if it is not that of an error of the script's.
    code: Option<String>,
    /// What is wrong with a script that does not parse; null where it parses.
    #[serde(default, deserialize_with = "some")]
    problem: Option<Option<Problem>>,
    stderr: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Problem {
    message: String,
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default, deserialize_with = "some")]
    output: Option<&'a RawValue>,
    error: Option<String>,
    code: Option<String>,
    details: Option<Value>,
    meta: Option<Value>,
}

/// Tells null from a key that is not there.
fn some<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

extern "C" fn echo(request: *const c_char, _: *mut c_void) -> *mut c_char {
    // SAFETY: the library passes a text with a NUL at its end.
    let request = unsafe { CStr::from_ptr(request) }.to_str().unwrap();
    let reply = CString::new(format!(r#"{{"status":"ok","output":{request}}}"#)).unwrap();
    // SAFETY: the text ends with a NUL.
    unsafe { arawn_string_new(reply.as_ptr()) }
}

/// An executor with this catalog, and the host function `echo`.
fn executor(catalog: &Catalog) -> String {
    let id = catalog.executor_with(json!({"capabilities": {"host_functions": ["echo"]}}));
    let request = CString::new(json!({"executor": id, "name": "echo"}).to_string()).unwrap();
    // SAFETY: the text ends with a NUL, and the reply is released once.
    unsafe { arawn_free(arawn_host_function_set(request.as_ptr(), Some(echo), std::ptr::null_mut())) };
    id
}

struct Language {
    name: &'static str,
    extension: &'static str,
    executor: String,
}

impl Language {
    fn test(&self, case: &Case) {
        match case.mode.as_deref() {
            Some("check") => self.check(case),
            Some("run") => {
                let file = format!("case.{}", self.extension);
                let (args, env) = (json!(case.args), case.env.iter().map(|(key, value)| format!("{key} = {value:?}")));
                let env = env.collect::<Vec<_>>().join(", ");
                let lines = format!("script = \"{file}\"\nargs = {args}\nenv = {{ {env} }}");
                let catalog = Catalog::new().entry("case", &lines);
                fs::write(catalog.path().join(file), self.script(case)).unwrap();
                self.run(case, &executor(&catalog), "case", &json!({}));
            }
            mode => {
                assert_eq!(mode, None, "{}", case.name);
                let config = case.script.as_ref().map_or(json!({}), |script| json!({"script": script}));
                self.run(case, &self.executor, self.name, &config);
            }
        }
    }

    fn script<'a>(&self, case: &'a Case) -> &'a str {
        case.script.as_ref().and_then(Value::as_str).unwrap()
    }

    fn run(&self, case: &Case, executor: &str, runtime: &str, config: &Value) {
        let what = format!("{}: {}", self.name, case.name);
        let context = case.context.as_deref().unwrap_or("{}");
        let request = format!(
            r#"{{"executor":"{executor}","runtime":"{runtime}","input":{{"config":{config},"context":{context}}},"meta":true}}"#
        );
        let request = CString::new(request).unwrap();
        let text = call_raw(arawn_execute_runtime, request.as_ptr());
        let reply: Reply<'_> = serde_json::from_str(&text).unwrap();
        let output = reply.output.map(|output| output.get().to_owned());
        assert_eq!((&output, reply.error.is_some()), (&case.output, case.output.is_none()), "{what}: {text}");
        let expected = case.code.as_deref().or(output.is_none().then_some("runtime_error"));
        assert_eq!(reply.code.as_deref(), expected, "{what}: {text}");
        let error = reply.error.unwrap_or_default();
        match (&case.error, &case.error_begins) {
            (Some(expected), _) => assert_eq!(&error, expected, "{what}"),
            (None, Some(begin)) => assert!(error.starts_with(begin), "{what}: {error}"),
            (None, None) => assert!(output.is_some() || case.code.is_some(), "{what}: {text}"),
        }
        let stderr = reply.meta.as_ref().or(reply.details.as_ref()).map(|told| &told["stderr"]);
        assert_eq!(stderr.and_then(Value::as_str), Some(case.stderr.as_deref().unwrap_or("")), "{what}: {text}");
    }

    fn check(&self, case: &Case) {
        let what = format!("{}: {}", self.name, case.name);
        let reply = call(
            arawn_catalog_register,
            &json!({"executor": self.executor, "name": "case", "script": self.script(case), "language": self.name, "replace": true}),
        );
        let problem = case.problem.as_ref().unwrap();
        let Some(Problem { message, line, column }) = problem else {
            assert_eq!(reply["status"], "ok", "{what}: {reply}");
            return;
        };
        assert_eq!(reply["code"], "script_invalid", "{what}: {reply}");
        assert!(reply["error"].as_str().unwrap().ends_with(message), "{what}: {reply}");
        let place = (reply["details"].get("line"), reply["details"].get("column"));
        let number = |value: Option<&Value>| value.and_then(Value::as_u64);
        assert_eq!((number(place.0), number(place.1)), (line.map(u64::from), column.map(u64::from)), "{what}: {reply}");
    }
}

fn test(name: &'static str, extension: &'static str) {
    let file = common::root().join(format!("runtimes/{name}/cases.json"));
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(cases.len() >= 60, "{name} has {} cases", cases.len());
    let catalog = Catalog::new();
    let language = Language { name, extension, executor: executor(&catalog) };
    for case in &cases {
        language.test(case);
    }
}

#[test]
fn javascript() {
    test("javascript", "js");
}

#[test]
fn lua() {
    test("lua", "lua");
}

/// What recursion takes of the stacks depends on how a module is compiled: a limit of fuel has each function count.
#[test]
fn recursion_ends_as_an_error_of_the_script_with_a_limit_of_fuel_too() {
    let id = common::executor(json!({"limits": {"fuel": 2_000_000_000_u64}}));
    for script in [
        "const f = () => f() + 1; f()",
        "const o = { get x() { return this.x } }; o.x",
        "const o = { valueOf() { return +o } }; +o",
        "const f = function* () { for (const x of f()) yield x }; f().next()",
        "class A { constructor() { new A() } } new A()",
        "const f = () => f.bind()(); f()",
        "const f = () => [1].map(f); f()",
        "const f = () => JSON.stringify({ toJSON: f }); f()",
        "let p = {}; for (let i = 0; i < 100000; i++) p = new Proxy(p, {}); Object.keys(p)",
        "let i = [1].values(); for (let k = 0; k < 100000; k++) i = i.map(x => x); i.next()",
        "eval('{'.repeat(100000))",
        "new RegExp('[[a]--'.repeat(5000), 'v')",
    ] {
        let config = json!({"script": format!("export default () => {{ {script} }}")});
        let reply = common::execute(&json!({"executor": id, "runtime": "javascript", "input": {"config": config}}));
        common::assert_error(&reply, "runtime_error");
        let text = reply["error"].as_str().unwrap();
        assert!(
            text.contains("Maximum call stack size exceeded") || text.contains("stack overflow"),
            "{script}: {text}"
        );
    }
}
