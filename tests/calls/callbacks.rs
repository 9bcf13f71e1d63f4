//! Setting Rust closures as callbacks of C, and answering for those that defer their answers.
#![allow(dead_code, reason = "no test uses all of it")]

use crate::common::{ANSWER, Catalog, asker, assert_error, call, ok};
use arawn::ffi::{
    arawn_free, arawn_host_function, arawn_host_function_set, arawn_host_reply, arawn_poll, arawn_stats,
    arawn_string_new, arawn_submit,
};
use serde_json::{Value, json};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};

/// What a callback does with its request; `None` is NULL.
pub type Body = dyn Fn(&str) -> Option<String> + Send + Sync;

pub fn text(reply: &str) -> Option<String> {
    Some(reply.to_owned())
}

unsafe extern "C" fn trampoline(request: *const c_char, user_data: *mut c_void) -> *mut c_char {
    // SAFETY: `set` passes a leaked `Box<Body>`, and the library a string that ends with a NUL.
    let (body, request) = unsafe { (&*user_data.cast::<Box<Body>>(), CStr::from_ptr(request)) };
    let Some(reply) = body(request.to_str().unwrap()) else { return std::ptr::null_mut() };
    let reply = CString::new(reply).unwrap();
    // SAFETY: it ends with a NUL and lives until the call is over.
    unsafe { arawn_string_new(reply.as_ptr()) }
}

/// Sets a function for good: what it owns is leaked, so that no test can use it after its end.
pub fn set(request: &Value, body: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Value {
    let body: Box<Body> = Box::new(body);
    set_raw(request, Some(trampoline), Box::into_raw(Box::new(body)).cast())
}

pub fn unset(executor: &str, name: &str) -> Value {
    set_raw(&json!({"executor": executor, "name": name}), None, std::ptr::null_mut())
}

fn set_raw(request: &Value, callback: arawn_host_function, user_data: *mut c_void) -> Value {
    let request = CString::new(request.to_string()).unwrap();
    // SAFETY: the request ends with a NUL, and the reply is released once, after its last use.
    let reply: Value = unsafe {
        let reply = arawn_host_function_set(request.as_ptr(), callback, user_data);
        let value = serde_json::from_str(CStr::from_ptr(reply).to_str().unwrap()).unwrap();
        arawn_free(reply);
        value
    };
    assert_eq!(reply["status"], "ok", "{request:?} answered {reply}");
    reply["output"].clone()
}

pub fn asking() -> Catalog {
    Catalog::new().with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER))
}

pub fn granting(catalog: &Catalog) -> String {
    catalog.executor_with(json!({"limits": {"timeout_ms": 600_000}, "capabilities": {"host_functions": ["f"]}}))
}

pub fn later(executor: &str, on: &str) -> Value {
    json!({"executor": executor, "name": "f", "on": on, "deferred": true})
}

/// What callbacks tell the test, on whichever thread it listens.
pub struct Told<T>(Mutex<Receiver<T>>);

impl<T> Told<T> {
    pub fn recv(&self) -> T {
        self.0.lock().unwrap().recv().unwrap()
    }

    pub fn try_recv(&self) -> Option<T> {
        self.0.lock().unwrap().try_recv().ok()
    }
}

pub fn channel<T>() -> (Sender<T>, Told<T>) {
    let (sender, receiver) = mpsc::channel();
    (sender, Told(Mutex::new(receiver)))
}

/// Sets a deferred function that returns NULL. Its requests arrive here.
pub fn deferring(executor: &str, on: &str) -> Told<Value> {
    let (sender, receiver) = channel();
    set(&later(executor, on), move |request| {
        sender.send(serde_json::from_str(request).unwrap()).unwrap();
        None
    });
    receiver
}

pub fn reply(executor: &str, name: &Value, output: Value) -> Value {
    let reply = json!({"status": "ok", "output": output});
    call(arawn_host_reply, &json!({"executor": executor, "call": name, "reply": reply}))
}

pub fn submit(executor: &str, runtime: &str, job: &str) {
    ok(arawn_submit, &json!({"executor": executor, "runtime": runtime, "job": job}));
}

pub fn finished(executor: &str, job: &str) -> Value {
    let output = ok(arawn_poll, &json!({"executor": executor, "job": job, "wait_ms": 60_000}));
    assert_eq!(output["state"], "finished", "{output}");
    output["reply"].clone()
}

pub fn unanswered(executor: &str) -> Value {
    ok(arawn_stats, &json!({"executor": executor}))["executor"]["host_calls"]["unanswered"].clone()
}

#[track_caller]
pub fn assert_unknown(reply: &Value, name: &Value) {
    assert_error(reply, "unknown_call");
    assert_eq!(reply["details"], json!({"call": name}));
}
