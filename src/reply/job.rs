//! The replies of `arawn_submit`, `arawn_poll`, `arawn_poll_descriptor` and `arawn_cancel`.

use super::envelope::ok_reply;
use super::poll::polled_reply;
use crate::error::Result;
use crate::jobs::Polled;
use serde::Serialize;
use serde_json::Value;

/// The output of `arawn_submit` and of `arawn_cancel`.
#[derive(Serialize)]
pub(crate) struct Job<'a> {
    pub job: &'a str,
}

/// The output of `arawn_poll_descriptor`.
#[derive(Serialize)]
pub(crate) struct PollDescriptorOutput {
    pub fd: i32,
}

/// The reply of `arawn_poll`, for one job or for all jobs that have ended.
pub(crate) fn job_reply(job: Option<&str>, polled: Polled) -> Result<String> {
    let state = |state: &str| {
        let job = Value::from(job.unwrap_or_default()).to_string();
        ok_reply(&format!("{{\"job\":{job},\"state\":\"{state}\"}}"))
    };
    match polled {
        Polled::Queued => state("queued"),
        Polled::Running => state("running"),
        Polled::Finished(finished, room) => Ok(polled_reply(job.is_some(), &finished, room)),
    }
}
