//! The replies of `arawn_submit`, `arawn_poll`, `arawn_poll_descriptor` and `arawn_cancel`.

use crate::jobs::Polled;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// The output of `arawn_submit` and of `arawn_cancel`.
#[derive(Serialize)]
pub(crate) struct Job<'a> {
    pub job: &'a str,
}

/// The output of `arawn_poll_descriptor`.
#[derive(Serialize)]
pub(crate) struct Watched {
    pub fd: i32,
}

/// The output of `arawn_poll`, for one job or for all jobs that have ended. The replies of the jobs are JSON already.
pub(crate) fn polled_output(job: Option<&str>, polled: &Polled) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let state = |job: &str, state: &str| format!("{{\"job\":{},\"state\":\"{state}\"}}", quoted(job));
    match (polled, job.unwrap_or_default()) {
        (Polled::Queued, job) => state(job, "queued"),
        (Polled::Running, job) => state(job, "running"),
        (Polled::Finished(finished), _) if job.is_some() => {
            let of = |(job, reply): &(Arc<str>, String)| {
                ["{\"job\":", &quoted(job), ",\"state\":\"finished\",\"reply\":", reply, "}"].concat()
            };
            finished.iter().map(of).collect()
        }
        (Polled::Finished(finished), _) => {
            let mut output = "{\"finished\":[".to_owned();
            for (index, (job, reply)) in finished.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                output.extend([comma, "{\"job\":", &quoted(job), ",\"reply\":", reply, "}"]);
            }
            output + "]}"
        }
    }
}
