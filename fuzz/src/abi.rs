//! Calls of the exported functions, and what holds for every reply.

use arawn::ffi::{self, arawn_free};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

pub type Function = unsafe extern "C" fn(*const c_char) -> *mut c_char;

/// Every function that takes one argument of JSON.
pub const FUNCTIONS: [(&str, Function); 16] = [
    ("executor_new", ffi::arawn_executor_new),
    ("executor_close", ffi::arawn_executor_close),
    ("execute_runtime", ffi::arawn_execute_runtime),
    ("execute_pipeline", ffi::arawn_execute_pipeline),
    ("submit", ffi::arawn_submit),
    ("poll", ffi::arawn_poll),
    ("cancel", ffi::arawn_cancel),
    ("catalog_list", ffi::arawn_catalog_list),
    ("catalog_inspect", ffi::arawn_catalog_inspect),
    ("catalog_register", ffi::arawn_catalog_register),
    ("catalog_remove", ffi::arawn_catalog_remove),
    ("configure", ffi::arawn_configure),
    ("stats", ffi::arawn_stats),
    ("host_function_set", host_function_set),
    ("poll_descriptor", ffi::arawn_poll_descriptor),
    ("host_reply", ffi::arawn_host_reply),
];

unsafe extern "C" fn host_function_set(request: *const c_char) -> *mut c_char {
    // SAFETY: as of this function; the callback has no user data.
    unsafe { ffi::arawn_host_function_set(request, Some(answer), std::ptr::null_mut()) }
}

/// A host function that answers its request.
unsafe extern "C" fn answer(request: *const c_char, _user_data: *mut std::ffi::c_void) -> *mut c_char {
    // SAFETY: the request is valid for the call.
    let request = unsafe { CStr::from_ptr(request) }.to_str().unwrap();
    let reply = CString::new(format!(r#"{{"status":"ok","output":{request}}}"#)).unwrap();
    // SAFETY: the text ends with a NUL.
    unsafe { ffi::arawn_string_new(reply.as_ptr()) }
}

/// A reply that has the form of one.
#[derive(Debug)]
pub struct Reply {
    pub text: String,
    pub value: Map<String, Value>,
}

impl Reply {
    /// The output of a call that has succeeded.
    pub fn ok(&self) -> Option<&Value> {
        self.value.get("output").filter(|_| self.value["status"] == "ok")
    }

    /// The error's code, and "" where there is none.
    pub fn code(&self) -> &str {
        self.value.get("code").map_or("", |code| code.as_str().unwrap())
    }

    /// The output of a call that must succeed.
    #[track_caller]
    pub fn expect_ok(&self) -> &Value {
        self.ok().unwrap_or_else(|| panic!("{}", self.text))
    }
}

pub fn call(function: Function, request: &Value) -> Reply {
    call_text(function, &request.to_string())
}

/// `text` has no NUL.
pub fn call_text(function: Function, text: &str) -> Reply {
    call_bytes(function, text.as_bytes())
}

/// The bytes end at the first NUL, if there is one.
pub fn call_bytes(function: Function, bytes: &[u8]) -> Reply {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = CString::new(&bytes[..end]).unwrap();
    call_pointer(function, text.as_ptr())
}

/// `pointer` is NULL or a string that ends with a NUL.
pub fn call_pointer(function: Function, pointer: *const c_char) -> Reply {
    // SAFETY: the argument is NULL or ends with a NUL.
    replied(|| unsafe { function(pointer) })
}

/// Calls a function that takes more than its request.
pub fn call_by(request: &Value, function: impl FnOnce(*const c_char) -> *mut c_char) -> Reply {
    let text = CString::new(request.to_string()).unwrap();
    replied(|| function(text.as_ptr()))
}

/// `function` returns a reply of the library.
fn replied(function: impl FnOnce() -> *mut c_char) -> Reply {
    // SAFETY: the reply is released once, after its last use.
    let text = unsafe {
        let reply = function();
        assert!(!reply.is_null(), "no function returns NULL");
        let text = CStr::from_ptr(reply).to_str().expect("a reply is UTF-8").to_owned();
        arawn_free(reply);
        text
    };
    checked(text)
}

/// The longest text of an error, with room for names, paths and excerpts.
const LONGEST_ERROR: usize = 16 << 10;

/// A reply as it is to be: one object of JSON, with a status, and with a code of the list where it is an error.
pub fn checked(text: String) -> Reply {
    // What a guest wrote as its output is handed on as it is. It may be beyond what `Value` takes, such as 1e999.
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let parsed = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
    let value: Map<String, Value> = members.iter().map(|(key, raw)| (key.clone(), parsed(raw))).collect();
    let mut known = vec!["status", "meta"];
    match value.get("status").and_then(Value::as_str) {
        Some("ok") => known.push("output"),
        Some("error") => {
            known.extend(["error", "code", "details"]);
            let error = value["error"].as_str().unwrap();
            let code = value["code"].as_str().unwrap();
            assert!(arawn::Code::ALL.iter().any(|known| known.as_str() == code), "{text}");
            assert!(code != "internal" && code != "no_resources", "{text}");
            assert!(value["details"].is_object(), "{text}");
            // A runtime's own words are its own; all others are bounded.
            let longest = if code == "runtime_error" { usize::MAX } else { LONGEST_ERROR };
            assert!(error.len() < longest, "{} bytes of error: {text}", error.len());
            assert!(!error.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{text}");
        }
        _ => panic!("no status: {text}"),
    }
    assert!(value.contains_key("output") || value.contains_key("error"), "{text}");
    assert!(value.keys().all(|key| known.contains(&key.as_str())), "{text}");
    Reply { text, value }
}

/// A directory of this process, in which a target may make files. The system's own rules say when it is removed; whoever
/// starts a target sets `TMPDIR` to a directory that is removed afterwards.
pub fn scratch() -> &'static Path {
    static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| {
        // In memory where that is possible: some targets make files with each input.
        let within = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from);
        let within = if within.is_dir() { within } else { std::env::temp_dir() };
        tempfile::Builder::new().prefix("arawn-fuzz-").tempdir_in(within).unwrap().keep()
    });
    &SCRATCH
}
