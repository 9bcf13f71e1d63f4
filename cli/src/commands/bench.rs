//! `arawn bench`: measures how long calls of a runtime take, alone or against another version.

mod arguments;
mod comparison;
mod figures;
mod histogram;
mod measure;
mod table;
mod versions;

pub use arguments::BenchArguments;

use crate::ending::{check_files, failed, written};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::report;
use arawn::Error;
use comparison::Comparison;
use measure::{Ended, Measured, Run};
use serde_json::{Value, json};
use versions::Version;

pub fn run(arguments: &BenchArguments) -> Exit {
    match measured(arguments) {
        Ok(run) => told(arguments, &run),
        Err(Ended { version, error }) => {
            // Of two versions the runtime's name does not tell which one has failed.
            let runtime = arguments.call.runtime().filter(|_| arguments.against.is_none());
            failed(runtime, version.as_deref(), &error, &arguments.grants, arguments.json)
        }
    }
}

fn measured(arguments: &BenchArguments) -> Result<Run, Ended> {
    check_files(&[("--svg", arguments.svg.as_deref())])?;
    let versions = versions::versions(arguments)?;
    let input = arguments.call.input()?;
    let input = input.get()?;
    let running = versions.iter().map(Version::cancel).collect::<Vec<_>>();
    let interrupt = Interrupt::cancelling(move || running.iter().any(|cancel| cancel()));
    let interrupt = interrupt.map_err(|error| Error::Internal { message: format!("no signal handler: {error}") })?;
    measure::measure(&versions, &input, arguments, &interrupt)
}

fn told(arguments: &BenchArguments, run: &Run) -> Exit {
    let comparison = match &run.measured[..] {
        [first, second] => Some(Comparison::new(&first.figures.times, &second.figures.times)),
        _ => None,
    };
    let exit = match arguments.json {
        true => report::line(&report::ok_reply(&reply(run, comparison.as_ref()))),
        false => report::text(&table::table(run, comparison.as_ref())),
    };
    let exit = if exit == Exit::Success && run.is_interrupted { Exit::Interrupted } else { exit };
    written(arguments.svg.as_deref(), || histogram::svg(&run.measured), exit)
}

fn reply(run: &Run, comparison: Option<&Comparison>) -> Value {
    let version = |Measured { name, figures, memory_bytes, .. }: &Measured| {
        let mut version = figures.json();
        (version["name"], version["memory_bytes"]) = (json!(name), json!(memory_bytes));
        version
    };
    json!({
        "rounds": run.rounds(),
        "seconds": run.took.as_secs_f64(),
        "interrupted": run.is_interrupted,
        "versions": run.measured.iter().map(version).collect::<Vec<_>>(),
        "comparison": comparison.map(Comparison::json),
    })
}
