//! `arawn test`: runs a project's samples.

mod arguments;

pub use arguments::TestArguments;

use crate::exit::Exit;
use crate::failed::{Failed, Result};
use crate::near::known_ones;
use crate::project::{Project, written};
use crate::samples::{Sample, compact, fits, pretty, reply, samples};
use crate::units::{count, duration};
use crate::{input, notices, process, report};
use arawn::{Code, Error, RuntimeInput, ScriptExecutor, Sha256};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the process waits for the cache before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a sample went.
enum Outcome {
    Fits,
    Accepted,
    Differs { expected: Option<String> },
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Outcome::Fits => "ok",
            Outcome::Accepted => "accepted",
            Outcome::Differs { .. } => "FAILED",
        }
    }
}

pub fn run(arguments: &TestArguments) -> Exit {
    test(arguments).unwrap_or_else(|failed| failed.report())
}

fn test(arguments: &TestArguments) -> Result<Exit> {
    let project = Project::required(arguments.path.as_deref())?;
    let name = &project.settings.name;
    let samples = chosen(&project, &arguments.samples)?;
    let executor = executor(arguments, &project)?;
    tell_of_changes(&project, &executor);
    let widest = samples.iter().map(|sample| sample.name.chars().count()).max().unwrap_or(0);
    // What is wrong with an input is told before anything is run or written.
    let inputs = samples.iter().map(|sample| input::file(&sample.input)).collect::<arawn::Result<Vec<String>>>()?;
    let inputs = samples.iter().zip(&inputs).map(|(sample, text)| input(sample, text)).collect::<Result<Vec<_>>>()?;
    let mut failures: u64 = 0;
    for (sample, input) in samples.iter().zip(&inputs) {
        let begun = Instant::now();
        let answered = executor.execute_runtime(name, input);
        let took = duration(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        let Some(reply) = reply(&answered) else {
            return answered.map(|_| Exit::Host).map_err(|error| of_catalog(error, &project));
        };
        let outcome = compare(sample, &reply, arguments.accept)?;
        failures += u64::from(matches!(outcome, Outcome::Differs { .. }));
        let mut line = format!("{:<8}  {:<widest$}  {took:>8}\n", outcome.word(), report::cell(&sample.name));
        if let Outcome::Differs { expected } = outcome {
            line += &difference(expected.as_deref(), &reply);
            line += &answered.as_ref().err().map_or(String::new(), report::guest_lines);
        }
        let written = report::text(&line);
        if written != Exit::Success {
            return Ok(written);
        }
    }
    executor.finish(PATIENCE);
    if failures == 0 {
        return Ok(Exit::Success);
    }
    let all = count(samples.len() as u64, "sample", "samples");
    report::problem(&format!("{failures} of {all} failed"), None);
    report::give(Some("if the new answers are right: the same command with --accept"));
    Ok(Exit::Runtime)
}

/// Says that it is an older build that is tested. What is known of that is in the project's own catalog alone.
fn tell_of_changes(project: &Project, executor: &ScriptExecutor) {
    let Ok(inspection) = executor.inspect(&project.settings.name) else { return };
    let is_own = |file: &PathBuf| file.ancestors().any(|directory| project.has_runtimes(directory));
    let file = inspection.path.map(PathBuf::from).filter(is_own);
    let Some(built) = file.as_deref().and_then(written) else { return };
    let script = project.settings.language.script().filter(|script| {
        let now = fs::read(project.directory.join(script)).map(|text| Sha256::of(&text));
        now.is_ok_and(|now| inspection.sha256 != Some(now))
    });
    let changed: Vec<PathBuf> = script.map(PathBuf::from).into_iter().chain(project.changed_since(built)).collect();
    let what = match &changed[..] {
        [] => return,
        [file] => format!("`{}` has", file.display()),
        [file, more @ ..] => {
            format!("`{}` and {} have", file.display(), count(more.len() as u64, "more file", "more files"))
        }
    };
    report::warning(&format!("{what} changed since `arawn build`: what is tested is older"));
}

/// A sample's input, of the text in its file.
fn input<'a>(sample: &Sample, text: &'a str) -> Result<RuntimeInput<'a>> {
    let wrong = |error| Failed::usage(format!("`{}` is not an input: {error}", sample.input.display()));
    RuntimeInput::from_json(text).map_err(wrong)
}

/// An error that is no reply, with what to do where another build mends it.
fn of_catalog(error: Error, project: &Project) -> Failed {
    match error.as_code() {
        Code::UnknownRuntime => not_built(project),
        Code::RuntimeUnavailable | Code::HashMismatch => Failed::from(error).hint(project.command("arawn build")),
        _ => error.into(),
    }
}

fn not_built(project: &Project) -> Failed {
    Failed::host(format!("`{}` is not built yet", project.settings.name)).hint(project.command("arawn build"))
}

fn difference(expected: Option<&str>, reply: &str) -> String {
    let expected = expected.map_or_else(|| "nothing: its file is missing".to_owned(), compact);
    let [expected, answered] = [&expected, reply].map(report::printable);
    format!("    expected  {expected}\n    answered  {answered}\n")
}

/// The samples that were asked for, or all.
fn chosen(project: &Project, names: &[String]) -> Result<Vec<Sample>> {
    let all = samples(&project.directory)?;
    if all.is_empty() {
        let text = format!("there are no samples in `{}`", project.directory.join("tests").display());
        let hint = "write an input to tests/NAME.json, such as {\"context\": {\"name\": \"Ada\"}}, and have its reply written by:\n";
        return Err(Failed::usage(text).hint(hint.to_owned() + &project.command("arawn test --accept")));
    }
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        all.iter().find(|sample| sample.name == *name).cloned().ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|sample| &*sample.name).collect();
            Failed::usage(format!("there is no sample `{name}`{}", known_ones(name, "samples", &known)))
        })
    };
    names.iter().map(find).collect()
}

/// Of the project's catalog, with what the options grant.
fn executor(arguments: &TestArguments, project: &Project) -> Result<ScriptExecutor> {
    let mut grants = arguments.grants.clone();
    if grants.places.runtimes.is_none() {
        let directory = project.runtimes();
        if !directory.is_dir() {
            return Err(not_built(project));
        }
        grants.places.runtimes = Some(directory);
    }
    process::for_one_call()?;
    let executor = ScriptExecutor::new(grants.config()?)?;
    notices::show(&executor)?;
    Ok(executor)
}

fn compare(sample: &Sample, reply: &str, accepts: bool) -> Result<Outcome> {
    let expected = sample.expected()?;
    if expected.as_deref().is_some_and(|expected| fits(expected, reply)) {
        return Ok(Outcome::Fits);
    }
    if !accepts {
        return Ok(Outcome::Differs { expected });
    }
    fs::write(&sample.reply, pretty(reply) + "\n")
        .map_err(|error| Failed::host(format!("`{}` cannot be written: {error}", sample.reply.display())))?;
    Ok(Outcome::Accepted)
}
