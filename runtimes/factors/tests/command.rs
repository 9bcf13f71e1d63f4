//! The command that is made of the same source, on the machine that builds it.

use std::io::Write;
use std::process::{Command, Stdio};

fn answer(input: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factors"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_command_is_initialised_and_runs() {
    let input = r#"{"config":{},"context":{"number":4294967294}}"#;
    assert_eq!(answer(input), r#"{"status":"ok","output":{"factors":[2,2147483647],"calls":1}}"#);
    let input = r#"{"context":{"number":-1}}"#;
    let error = "context.number must be a whole number from 0 to 4294967295, and is -1";
    assert_eq!(answer(input), format!(r#"{{"status":"error","error":"{error}"}}"#));
    let error = "factors.number: there is no libarawn around this process";
    assert_eq!(answer("{}"), format!(r#"{{"status":"error","error":"{error}"}}"#));
}
