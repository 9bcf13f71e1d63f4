//! The requests of hosts.

use super::parse::parse_request;
use crate::buffers;
use crate::config::{MAX_TIMEOUT_MS, RequestLimits};
use crate::error::{Error, Result};
use crate::host_functions::On;
use crate::json::{RawJson, object};
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// The argument of `arawn_execute_runtime`, and of `arawn_submit` for a call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecuteRequest<'a> {
    #[serde(borrow)]
    pub executor: Cow<'a, str>,
    #[serde(borrow)]
    pub runtime: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub input: RuntimeInput<'a>,
    #[serde(default, deserialize_with = "object")]
    pub limits: RequestLimits,
    #[serde(borrow, default)]
    pub job: Option<Cow<'a, str>>,
    #[serde(default)]
    pub meta: bool,
}

/// What a runtime reads from stdin. Both values are kept as the caller's own text, so numbers keep every digit.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeInput<'a> {
    /// What the caller asks of this runtime.
    #[serde(borrow)]
    pub config: RawJson<'a>,
    /// What earlier steps produced.
    #[serde(borrow)]
    pub context: RawJson<'a>,
}

impl<'a> RuntimeInput<'a> {
    /// Parses `{"config":…,"context":…}`. A missing key counts as `{}`.
    pub fn from_json(json: &'a str) -> Result<Self> {
        parse_request(json)
    }
}

/// A [`RuntimeInput`] whose context is in pieces, so that a pipeline need not put them together before the guest's stdin is.
#[derive(Clone, Copy)]
pub struct CallInput<'a> {
    pub config: RawJson<'a>,
    /// One after the other they are the text of one JSON value.
    pub context: &'a [&'a str],
}

impl<'a> CallInput<'a> {
    pub fn of(input: &RuntimeInput<'a>, context: &'a [&'a str]) -> Self {
        CallInput { config: input.config, context }
    }

    /// The bytes of config and context.
    pub fn len(self) -> usize {
        self.config.get().len() + self.context.iter().map(|piece| piece.len()).sum::<usize>()
    }

    /// The bytes that the guest reads.
    pub fn to_stdin(self) -> Result<Vec<u8>> {
        const AROUND: [&str; 3] = ["{\"config\":", ",\"context\":", "}"];
        let room = self.len() + AROUND.map(str::len).iter().sum::<usize>();
        let mut stdin = buffers::acquire(room).map_err(|_| Error::no_memory("the input"))?;
        let mut add = |text: &str| stdin.extend_from_slice(text.as_bytes());
        add(AROUND[0]);
        add(self.config.get());
        add(AROUND[1]);
        self.context.iter().for_each(|piece| add(piece));
        add(AROUND[2]);
        Ok(stdin)
    }
}

/// `{"executor": "main"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorRequest {
    pub executor: String,
}

/// `{"executor": "main", "name": "csv"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeRequest {
    pub executor: String,
    pub name: String,
}

/// The argument of `arawn_host_function_set`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFunctionRequest {
    pub executor: String,
    pub name: String,
    #[serde(default)]
    pub on: On,
    #[serde(default)]
    pub deferred: bool,
}

/// The argument of `arawn_host_reply`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostReplyRequest<'a> {
    pub executor: String,
    pub call: String,
    /// The guest gets this text as it is.
    #[serde(borrow)]
    pub reply: RawJson<'a>,
}

/// `{"executor": "main", "job": "level-7"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    pub executor: String,
    pub job: String,
}

/// The argument of `arawn_poll`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    pub executor: String,
    #[serde(default)]
    pub job: Option<String>,
    #[serde(default)]
    pub wait_ms: u64,
}

impl PollRequest {
    /// How long the poll waits.
    pub(crate) fn wait(&self) -> Result<Duration> {
        if self.wait_ms > MAX_TIMEOUT_MS {
            let message = format!("is {}, but must be at most {MAX_TIMEOUT_MS} (a day)", self.wait_ms);
            return Err(Error::InvalidRequest { path: "wait_ms".to_owned(), message });
        }
        Ok(Duration::from_millis(self.wait_ms))
    }
}

/// `{}` or `{"executor": "main"}`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatsRequest {
    pub executor: Option<String>,
}
