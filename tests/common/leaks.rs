//! LeakSanitizer, a part of the address sanitizer.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

pub const REPORT: &str = "LeakSanitizer: detected memory leaks";

/// Whether LeakSanitizer works here. It stops the process by ptrace, which a debugger or a container's rules may refuse.
pub static WORK: LazyLock<bool> = LazyLock::new(|| {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("no-leak-{}", std::process::id()));
    let mut compile = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compile.args(["-fsanitize=address", "-x", "c", "-", "-o"]).arg(&program).stdin(Stdio::piped());
    let mut compiler = compile.spawn().unwrap();
    compiler.stdin.take().unwrap().write_all(b"int main(void) { return 0; }").unwrap();
    assert!(compiler.wait().unwrap().success(), "{compile:?}");
    let output = look(&mut Command::new(&program), true).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let refused = said.contains("LeakSanitizer has encountered a fatal error");
    assert!(output.status.success() || refused, "{said}");
    if refused {
        let missing = "LeakSanitizer needs ptrace, which is refused here: a container takes --cap-add SYS_PTRACE";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        println!("skipped: the look for leaks; {missing}");
    }
    !refused
});

/// Has a program under the address sanitizer fail if it leaks, whatever the tests' own environment says.
pub fn look_for_leaks(command: &mut Command) -> &mut Command {
    look(command, *WORK)
}

/// Each of these variables may turn the look for leaks off.
fn look(command: &mut Command, on: bool) -> &mut Command {
    command.env("ASAN_OPTIONS", format!("detect_leaks={}", u8::from(on)));
    command.env_remove("LSAN_OPTIONS").env_remove("UBSAN_OPTIONS")
}
