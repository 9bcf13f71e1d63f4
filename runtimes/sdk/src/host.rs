//! Functions of the host.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::words;

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Reply<T> {
    Ok { output: T },
    Error { error: String },
}

/// Calls the function `name` of the host, and waits for it.
///
/// # Errors
/// What the host says is wrong, or why it was not asked: the function is not among the executor's
/// `capabilities.host_functions`, or the host has not set it, or gave no reply; also a request that serde cannot write and
/// an output that is no `T`. Each begins with the name.
///
/// For modules. A component imports the interface of `wit/host.wit`.
pub fn host_call<T: DeserializeOwned>(name: &str, request: &(impl Serialize + ?Sized)) -> Result<T, String> {
    let reply = call(name, &serde_json::to_vec(request).map_err(|error| format!("{name}: {error}"))?);
    let told =
        |error| format!("{name}: {}", words::of(&error, str::from_utf8(&reply).unwrap_or_default(), "its reply"));
    match serde_json::from_slice(&reply).map_err(told)? {
        Reply::Ok { output } => Ok(output),
        Reply::Error { error } => Err(format!("{name}: {error}")),
    }
}

#[cfg(target_os = "wasi")]
#[allow(unsafe_code, reason = "imports are unsafe to call")]
fn call(name: &str, request: &[u8]) -> Vec<u8> {
    #[link(wasm_import_module = "arawn")]
    unsafe extern "C" {
        fn host_call(name: *const u8, name_len: usize, request: *const u8, request_len: usize) -> usize;
        fn host_reply(buffer: *mut u8, capacity: usize) -> usize;
    }
    // SAFETY: both texts are read before it returns.
    let len = unsafe { host_call(name.as_ptr(), name.len(), request.as_ptr(), request.len()) };
    let mut reply = vec![0; len];
    // SAFETY: it writes `len` bytes, for which there is room.
    unsafe { host_reply(reply.as_mut_ptr(), reply.len()) };
    reply
}

/// In a test on the machine that builds.
#[cfg(not(target_os = "wasi"))]
fn call(_name: &str, _request: &[u8]) -> Vec<u8> {
    br#"{"status":"error","error":"there is no libarawn around this process"}"#.to_vec()
}

#[cfg(test)]
mod tests {
    use super::host_call;

    #[test]
    fn errors_begin_with_the_name() {
        let error = host_call::<u64>("stock.level", "TEA-0042").unwrap_err();
        assert_eq!(error, "stock.level: there is no libarawn around this process");
    }
}
