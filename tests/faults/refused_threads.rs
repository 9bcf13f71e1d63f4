//! A caller in Rust whose guest is ended by a host call gets an error, as a caller in C does, and nothing unwinds into it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "has the kernel refuse system calls of a thread")]

use arawn::{
    CacheDir, Capabilities, Code, Error, ExecutorConfig, GrantedDir, Pipeline, PipelineOptions, RuntimeInput,
    ScriptExecutor,
};
use std::sync::Arc;

/// From now on this thread starts no other one.
fn refuse_threads() {
    let filter = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let refused = libc::SECCOMP_RET_ERRNO | libc::EAGAIN as u32;
    let filter = [
        filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, libc::SYS_clone3 as u32),
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_clone as u32),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program and its filter live until both calls have returned.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "a thread was started");
}

#[test]
fn a_caller_in_rust_gets_an_error_where_no_thread_for_files_can_be_started() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("f"), "text").unwrap();
    let granted = GrantedDir { host: data.path().to_owned(), guest: "/data".to_owned(), write: false, bytes: None };
    let executor = ScriptExecutor::new(ExecutorConfig {
        cache_dir: CacheDir::Off,
        capabilities: Capabilities { dirs: vec![granted], ..Default::default() },
        ..Default::default()
    });
    let executor = Arc::new(executor.unwrap());
    // Starts what drives the threads for files, and none of these.
    executor.execute_runtime("passthrough", &RuntimeInput::default()).unwrap();
    // Loads the module. The guest ends before it opens anything.
    executor.execute_runtime("file_read", &RuntimeInput::default()).unwrap_err();
    let read = r#"{"config": {"path": "/data/f"}}"#;
    let is_of_a_file = |error: &Error| {
        let text = error.to_string();
        assert_eq!(error.as_code(), Code::NoResources, "{text}");
        assert!(text.contains("to start a thread for system calls"), "{text}");
    };
    let refused = || {
        refuse_threads();
        let error = executor.execute_runtime("file_read", &RuntimeInput::from_json(read).unwrap()).unwrap_err();
        is_of_a_file(&error);
        let steps = r#"{"steps": [{"name": "first", "runtime": "file_read", "config": {"path": "/data/f"}}]}"#;
        let pipeline = Pipeline::from_json(steps, None).unwrap();
        let error = executor.execute_pipeline(&pipeline, &PipelineOptions::default()).unwrap_err();
        is_of_a_file(&error);
        assert!(matches!(error, Error::Step { .. }), "{error:?}");
    };
    std::thread::scope(|scope| scope.spawn(refused).join().unwrap());
    let output = executor.execute_runtime("file_read", &RuntimeInput::from_json(read).unwrap()).unwrap();
    assert!(output.output().contains(r#""content":"text""#), "{}", output.output());
}
