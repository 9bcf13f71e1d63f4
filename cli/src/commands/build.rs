//! `arawn build`: compiles a project, and puts what comes of it into the project's catalog.

mod arguments;

pub use arguments::BuildArguments;

use crate::exit::Exit;
use crate::failed::{Failed, Result};
use crate::project::{Project, Settings};
use crate::samples::samples;
use crate::task::Task;
use crate::units::{duration, size};
use crate::{names, notices, process, report, shell, toolchain};
use arawn::{Error, ExecutorConfig, Inspection, ModuleSource, Registration, ScriptExecutor};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the process waits for the cache before it ends.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(arguments: &BuildArguments) -> Exit {
    match build(arguments) {
        Ok(told) => report::text(&told),
        Err(failed) => failed.report(),
    }
}

fn build(arguments: &BuildArguments) -> Result<String> {
    let begun = Instant::now();
    let project = Project::required(arguments.path.as_deref())?;
    process::for_one_call()?;
    // It is part of a path before the library sees it.
    names::check(&project.settings.name)?;
    let file = toolchain::compile(&project, arguments.install)?;
    let inspection = register(&project, &file)?;
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(told(&project, &inspection, took))
}

fn register(project: &Project, file: &Path) -> Result<Inspection> {
    let runtimes = project.runtimes();
    // Where the library cannot make it, it says what to do about its own configuration, which this command has not.
    fs::create_dir_all(&runtimes)
        .map_err(|error| Failed::host(format!("`{}` cannot be made: {error}", runtimes.display())))?;
    let executor = ScriptExecutor::new(ExecutorConfig { runtimes_dir: Some(runtimes), ..ExecutorConfig::default() })?;
    let settings = project.settings.clone();
    let name = settings.name.clone();
    let registration = Registration {
        description: settings.description,
        config_schema: settings.config_schema,
        args: settings.args,
        env: settings.env,
        snapshot: settings.snapshot,
        warm_up: settings.warm_up,
        shared_random: settings.shared_random,
        replace: true,
        ..Registration::new(settings.name, ModuleSource::Path(file.to_owned()))
    };
    let task = Task::begin("checking the runtime, and making it ready to run".to_owned());
    notices::show_in(&executor, &task)?;
    let registered = executor.register(registration);
    executor.finish(PATIENCE);
    task.end();
    if let Err(error) = registered {
        return Err(of_script(error, file));
    }
    let inspection = executor.inspect(&name)?;
    match &inspection.problem {
        Some(problem) => Err(Failed::host(problem.error.clone())),
        None => Ok(inspection),
    }
}

/// An error with the name that the script has in the project, in place of the one that it gets in the catalog.
fn of_script(error: Error, script: &Path) -> Failed {
    match error {
        Error::ScriptInvalid { runtime, line, column, message, .. } => {
            let file = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let error = Error::ScriptInvalid { runtime, file, line, column, message };
            Failed::of_script(error, script.to_owned())
        }
        _ => error.into(),
    }
}

/// What was built, and how to go on.
fn told(project: &Project, inspection: &Inspection, took: u64) -> String {
    let settings = &project.settings;
    let (kind, bytes) = (inspection.kind.unwrap_or("runtime"), size(inspection.bytes.unwrap_or(0)));
    let mut told =
        format!("Built `{}`: {kind} in {}, {bytes}, in {}", settings.name, settings.language, duration(took));
    if let Some(problem) = inspection.snapshot.as_ref().and_then(|snapshot| snapshot.problem.as_ref()) {
        let problem = report::cell(&in_project(problem, settings));
        told += &format!("\nIt has no snapshot, and so runs from its start in each call: {problem}");
    }
    told + "\n\n  " + &call(project) + "\n  " + &project.command("arawn test") + "\n"
}

/// The first line of an error, with its place in the project's script, if it is of one. There the script has another name
/// than in the catalog.
fn in_project(error: &str, settings: &Settings) -> String {
    let first = error.lines().next().unwrap_or_default();
    let Some(script) = settings.language.script() else { return first.to_owned() };
    let file = Path::new(&settings.name).with_added_extension(Path::new(script).extension().unwrap_or_default());
    let file = file.to_string_lossy();
    match report::place_in(error, &file) {
        Some(_) if report::place_in(first, &file).is_some() => first.replacen(&*file, script, 1),
        Some((line, Some(column))) => format!("{first} at {script}:{line}:{column}"),
        Some((line, None)) => format!("{first} at {script}:{line}"),
        None => first.to_owned(),
    }
}

/// A call for which the project has a sample, if it has one.
fn call(project: &Project) -> String {
    /// A longer context is not for the command line.
    const LONGEST: usize = 60;
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Input {
        config: Option<Value>,
        context: Option<Value>,
    }
    let sample = samples(&project.directory).unwrap_or_default().into_iter().next();
    let input: Option<Input> =
        sample.as_ref().and_then(|sample| serde_json::from_str(&fs::read_to_string(&sample.input).ok()?).ok());
    let context = match input {
        Some(Input { config: None, context: Some(context) }) => Some(context.to_string()),
        _ => None,
    };
    let input = match (context.filter(|text| text.len() <= LONGEST), sample) {
        (Some(context), _) => format!("--context {}", shell::quoted(&context)),
        (None, Some(sample)) => format!("--input @{}", shell::path(&sample.input)),
        (None, None) => "--context '{…}'".to_owned(),
    };
    format!("arawn run {}{} {input}", project.settings.name, runtimes(project))
}

/// The option that names the project's catalog, where the program would not find it by itself.
fn runtimes(project: &Project) -> String {
    match project.is_here() && project.other_runtimes().is_none() {
        true => String::new(),
        false => format!(" --runtimes {}", shell::path(&project.runtimes())),
    }
}
