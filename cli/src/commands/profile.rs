//! `arawn profile`: samples where a runtime spends its time.

mod arguments;
mod flame;
mod folded;
mod names;
mod table;
mod tree;

pub use arguments::ProfileArguments;

use crate::ending::{check_files, exit, failed, written};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::report;
use arawn::{CallOptions, Code, Error, Profile, Profiler, Result};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The name of the call that a Ctrl-C ends.
const JOB: &str = "profile";

/// What was sampled, and the error that has ended the calls, if one has.
struct Sampled {
    runtime: String,
    profile: Profile,
    calls: u64,
    took: Duration,
    error: Option<Error>,
    is_interrupted: bool,
}

pub fn run(arguments: &ProfileArguments) -> Exit {
    match sampled(arguments) {
        Ok(sampled) => told(arguments, &sampled),
        Err(error) => failed(arguments.call.runtime(), None, &error, &arguments.grants, arguments.json),
    }
}

fn sampled(arguments: &ProfileArguments) -> Result<Sampled> {
    let ProfileArguments { call, grants, rounds, interval_us, svg, folded, quiet, .. } = arguments;
    check_files(&[("--svg", svg.as_deref()), ("--folded", folded.as_deref())])?;
    let target = call.target()?;
    let (executor, runtime) = target.executor(target.config(grants)?)?;
    let executor = Arc::new(executor);
    let input = call.input()?;
    let input = input.get()?;
    let running = executor.clone();
    let interrupt = Interrupt::cancelling(move || running.cancel(JOB).is_ok());
    let interrupt = interrupt.map_err(|error| Error::Internal { message: format!("no signal handler: {error}") })?;
    let profiler = Profiler::every(Duration::from_micros(*interval_us))?;
    let options = CallOptions { job: Some(JOB), ..CallOptions::default() };
    let (mut calls, mut error) = (0, None);
    let mut rounds = rounds.begin(&interrupt, "sampling", *quiet);
    while error.is_none() && rounds.next() {
        error = executor.profile_runtime(&runtime, &input, &options, &profiler).err();
        calls += 1;
    }
    let took = rounds.end();
    let is_interrupted = interrupt.is_pressed();
    let error = error.filter(|error| !(is_interrupted && error.as_code() == Code::Cancelled));
    let runtime = report::printable(&call.name);
    Ok(Sampled { runtime, profile: profiler.profile(), calls, took, error, is_interrupted })
}

fn told(arguments: &ProfileArguments, sampled: &Sampled) -> Exit {
    let Sampled { runtime, profile, error, .. } = sampled;
    // An error that came before the guest began has nothing to show, and replaces no picture.
    let is_empty = error.is_some() && profile.samples == 0;
    let exit = match error {
        _ if arguments.json => report::line(&reply(arguments, sampled)),
        _ if is_empty => Exit::Success,
        _ => report::text(&table::table(sampled, arguments.top)),
    };
    let exit = match error {
        Some(error) if exit == Exit::Success && arguments.json => self::exit(error),
        Some(error) if exit == Exit::Success => failed(arguments.call.runtime(), None, error, &arguments.grants, false),
        None if exit == Exit::Success && sampled.is_interrupted => Exit::Interrupted,
        _ => exit,
    };
    if is_empty {
        return exit;
    }
    let exit = written(arguments.svg.as_deref(), || flame::svg(runtime, profile), exit);
    written(arguments.folded.as_deref(), || folded::folded(profile), exit)
}

/// The library's reply, with the table as its output, or beside the error.
fn reply(arguments: &ProfileArguments, sampled: &Sampled) -> String {
    let Sampled { profile, calls, took, error, is_interrupted, .. } = sampled;
    let functions = profile.functions.iter().map(|function| {
        json!({
            "name": function.name,
            "module": function.module.as_deref(),
            "location": function.location,
            "self_samples": function.self_samples,
            "total_samples": function.total_samples,
        })
    });
    let table = json!({
        "calls": calls,
        "seconds": took.as_secs_f64(),
        "interrupted": is_interrupted,
        "interval_us": arguments.interval_us,
        "samples": profile.samples,
        "left_out": profile.left_out,
        "functions": functions.collect::<Vec<_>>(),
    });
    let Some(error) = error else { return report::ok_reply(&table) };
    let mut reply: Value = serde_json::from_str(&report::error_reply(error)).unwrap_or_default();
    reply["profile"] = table;
    reply.to_string()
}
