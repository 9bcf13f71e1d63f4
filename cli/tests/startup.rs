//! A run of a runtime that was compiled before takes little more than the start of a process.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};
use support::Place;

const MOST: Duration = Duration::from_millis(5);

/// On a busy machine each process may wait for a processor. The shortest of many did not.
const ROUNDS: usize = 1000;

#[test]
fn a_run_takes_five_milliseconds_more_than_true_at_most() {
    let place = Place::new();
    let run = || place.command(&["run", "passthrough", "--context", r#"{"name": "Ada"}"#]);
    let reply = run().output().unwrap();
    assert_eq!(String::from_utf8(reply.stdout).unwrap(), "{\"config\":{},\"context\":{\"name\": \"Ada\"}}\n");
    let took = |mut command: Command| {
        let begun = Instant::now();
        assert!(command.output().unwrap().status.success());
        begun.elapsed()
    };
    let (mut least, mut of_true) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        of_true = of_true.min(took(Command::new("true")));
        least = least.min(took(run()));
        if least < of_true + MOST {
            return;
        }
    }
    panic!("the shortest run took {least:?}, and the shortest of true {of_true:?}");
}
