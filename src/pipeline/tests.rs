//! What a pipeline's state allows after a failure.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::document::Pipeline;
use super::state::{Done, Most, State};
use crate::error::Error;
use crate::protocol::RuntimeOutput;

/// A unit that ends well after another one has failed makes nothing ready: a driver that found something ready, and could
/// not take it, would look again and again, and keep its worker.
#[test]
fn after_a_failure_nothing_is_ready_and_the_pipeline_is_over_once_nothing_runs() {
    let steps = r#"{"steps": [
        {"name": "fails", "runtime": "r", "needs": []}, {"name": "ends", "runtime": "r", "needs": []},
        {"name": "runs", "runtime": "r", "needs": []}, {"name": "next", "runtime": "r", "needs": ["ends"]}]}"#;
    let pipeline = Pipeline::from_json(steps, None).unwrap();
    let checked = &*pipeline.0;
    let mut state = State::new(checked);
    let most = Most { output_bytes: 1000, kept_bytes: 1000 };
    let output = || RuntimeOutput::parse(br#"{"status":"ok","output":1}"#.to_vec(), "").unwrap();
    let taken: Vec<usize> = std::iter::from_fn(|| state.take(checked).map(|unit| unit.step)).collect();
    assert_eq!(taken, [0, 1, 2]);

    state.complete(checked, 0, Done::Failed(None, Error::internal("no")), 1, most);
    state.complete(checked, 1, Done::Called(output()), 1, most);
    assert_eq!((state.next_step(), state.take(checked).is_none(), state.is_over()), (None, true, false));
    state.complete(checked, 2, Done::Called(output()), 1, most);
    assert_eq!((state.next_step(), state.take(checked).is_none(), state.is_over()), (None, true, true));
    assert_eq!(state.failure().unwrap().step, 0);
}
