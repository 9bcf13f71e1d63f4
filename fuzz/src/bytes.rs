//! Every function takes every string, and NULL.

use super::abi::{FUNCTIONS, call, call_bytes, call_pointer};
use arawn::ffi;
use serde_json::{Value, json};
use std::ffi::CString;
use std::sync::Once;

static EXECUTOR: Once = Once::new();

/// `bytes` are a byte that chooses the function, and its argument.
pub fn run(bytes: &[u8]) {
    EXECUTOR.call_once(|| drop(call(ffi::arawn_executor_new, &json!({"id": "a", "cache_dir": null}))));
    let Some((choice, argument)) = bytes.split_first() else { return };
    let (name, function) = FUNCTIONS[usize::from(*choice) % FUNCTIONS.len()];
    if *choice == u8::MAX {
        FUNCTIONS.iter().for_each(|(_, function)| drop(call_pointer(*function, std::ptr::null())));
    }
    // What a callback would return. NULL has no text.
    let text = CString::new(argument.split(|byte| *byte == 0).next().unwrap_or_default()).unwrap();
    // SAFETY: the text ends with a NUL, and its copy is released once.
    unsafe { ffi::arawn_free(ffi::arawn_string_new(text.as_ptr())) };
    if name == "executor_close" || (name == "executor_new" && names_a_path(argument)) {
        return;
    }
    let reply = call_bytes(function, argument);
    if let Some(made) = reply.ok().filter(|_| name == "executor_new") {
        call(ffi::arawn_executor_close, &json!({"executor": made["executor"]})).expect_ok();
    }
    // It is as it was.
    call(ffi::arawn_catalog_list, &json!({"executor": "a"})).expect_ok();
}

/// Whether an executor would reach files of this machine.
fn names_a_path(config: &[u8]) -> bool {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let is_set = |key: &str| config.get(key).is_some_and(|value| !value.is_null());
    is_set("runtimes_dir") || is_set("cache_dir") || !config["capabilities"]["dirs"].is_null()
}
