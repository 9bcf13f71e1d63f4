//! The replies of ended jobs, as `arawn_poll` returns them: they are JSON already.
//!
//! A reply is handed out once, so the memory for the whole is there before the jobs are taken from their table.

use super::envelope::{OK, room};
use crate::error::Result;
use serde_json::Value;
use std::sync::Arc;

/// What stands around the replies of one named job, and of all jobs.
struct Around {
    begin: &'static str,
    before: &'static str,
    end: &'static str,
}

const ONE: Around = Around { begin: "", before: ",\"state\":\"finished\",\"reply\":", end: "" };
const ALL: Around = Around { begin: "{\"finished\":[", before: ",\"reply\":", end: "]}" };

impl Around {
    fn of(is_one: bool) -> Self {
        if is_one { ONE } else { ALL }
    }

    /// What stands before the reply of a job.
    fn head(&self, index: usize, job: &str) -> String {
        let comma = if index == 0 { "" } else { "," };
        [comma, "{\"job\":", &Value::from(job).to_string(), self.before].concat()
    }
}

/// Room for exactly the reply with these jobs, each a name and the bytes of its reply.
pub(crate) fn polled_room<'a>(is_one: bool, jobs: impl Iterator<Item = (&'a str, usize)>) -> Result<String> {
    let around = Around::of(is_one);
    let jobs: usize = jobs.enumerate().map(|(index, (job, bytes))| around.head(index, job).len() + bytes + 1).sum();
    room(OK.len() + around.begin.len() + jobs + around.end.len() + 1)
}

/// The reply with these jobs, in the room that was made for it.
pub(crate) fn polled_reply(is_one: bool, jobs: &[(Arc<str>, String)], mut room: String) -> String {
    let around = Around::of(is_one);
    room.extend([OK, around.begin]);
    for (index, (job, reply)) in jobs.iter().enumerate() {
        room.extend([&*around.head(index, job), reply, "}"]);
    }
    room.extend([around.end, "}"]);
    room
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_exactly_what_the_reply_and_its_nul_take() {
        let reply = |is_one: bool, jobs: &[(&str, &str)]| {
            let room = polled_room(is_one, jobs.iter().map(|(job, reply)| (*job, reply.len()))).unwrap();
            let before = room.capacity();
            let jobs: Vec<_> = jobs.iter().map(|(job, reply)| (Arc::from(*job), (*reply).to_owned())).collect();
            let reply = polled_reply(is_one, &jobs, room);
            assert_eq!((reply.capacity(), reply.len() + 1), (before, before));
            reply
        };
        let one = r#"{"status":"ok","output":{"job":"a\"b","state":"finished","reply":{"n":1}}}"#;
        assert_eq!(reply(true, &[("a\"b", r#"{"n":1}"#)]), one);
        let all = r#"{"status":"ok","output":{"finished":[{"job":"a","reply":1},{"job":"b","reply":[2]}]}}"#;
        assert_eq!(reply(false, &[("a", "1"), ("b", "[2]")]), all);
        assert_eq!(reply(false, &[]), r#"{"status":"ok","output":{"finished":[]}}"#);
    }
}
