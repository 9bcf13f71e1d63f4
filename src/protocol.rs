//! The JSON on both sides: the requests of hosts, what guests read and write, and the replies to hosts.

mod base64;
mod output;
mod parse;
mod pipeline;
mod register;
mod request;

pub use output::RuntimeOutput;
pub use parse::{parse_config, parse_request};
pub use pipeline::{PipelineDocument, PipelineRequest, Retry, StepDocument};
pub use register::{Draft, RegisterRequest, SubmitRequest, parse_submit};
pub use request::{
    CallInput, ExecuteRequest, ExecutorRequest, HostFunctionRequest, HostReplyRequest, JobRequest, PollRequest,
    RuntimeInput, RuntimeRequest, StatsRequest,
};
