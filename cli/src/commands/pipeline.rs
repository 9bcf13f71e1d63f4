//! `arawn pipeline`: runs a pipeline, and shows how its steps come on.

mod arguments;
mod watch;

pub use arguments::PipelineArguments;

use crate::exit::Exit;
use crate::hints::hint_of;
use crate::interrupt::Interrupt;
use crate::request::request;
use crate::{input, notices, report};
use arawn::{Code, Error, Pipeline, PipelineOptions, PipelineOutput, RequestLimits, Result, ScriptExecutor, Step};
use serde_json::json;
use serde_json::value::RawValue;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use watch::Watch;

/// How long the process waits for the cache before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be done, with everything read and checked that can be before anything runs.
struct Work {
    pipeline: Pipeline,
    /// The names of the steps whose outputs are given.
    given: Vec<String>,
    limits: RequestLimits,
    job: String,
    /// Whether a reply has `meta`: unless a request says no.
    meta: bool,
    is_dry: bool,
}

impl Work {
    /// The runtime of the step that an error is of.
    fn runtime_of(&self, error: &Error) -> Option<&str> {
        let Error::Step { step: name, .. } = error else { return None };
        self.pipeline.steps().find(|step| step.name() == name).map(Step::runtime)
    }
}

pub fn run(arguments: &PipelineArguments) -> Exit {
    match prepared(arguments) {
        Ok(work) if work.is_dry => show(arguments, &work),
        Ok(work) => execute(arguments, &work),
        Err(error) => failed(arguments, None, &error),
    }
}

fn prepared(arguments: &PipelineArguments) -> Result<Work> {
    let invalid =
        |path: &str, message: &str| Err(Error::InvalidRequest { path: path.to_owned(), message: message.to_owned() });
    if arguments.file.to_str() == Some("-") && arguments.context.as_deref().is_some_and(input::is_stdin) {
        return invalid("--context", "cannot be read from stdin, which has the document: put one of them into a file");
    }
    if let Some(directory) = arguments.picture.as_deref().and_then(Path::parent)
        && !directory.as_os_str().is_empty()
        && !directory.is_dir()
    {
        return invalid("--picture", &format!("cannot be written: there is no directory `{}`", directory.display()));
    }
    let text = input::file(&arguments.file)?;
    let context = arguments.context.as_deref().map(|value| input::json("--context", value)).transpose()?;
    let request = request(&text)?;
    let document = request.as_ref().map_or(&*text, |request| request.pipeline.get());
    let in_request = request.as_ref().and_then(|request| request.context).map(RawValue::get);
    let mut pipeline = Pipeline::from_json(document, context.as_deref().or(in_request))?;
    let Some(request) = request else {
        let (limits, job) = (RequestLimits::default(), "pipeline".to_owned());
        return Ok(Work { pipeline, given: Vec::new(), limits, job, meta: true, is_dry: arguments.dry_run });
    };
    for (step, output) in &request.completed {
        pipeline = pipeline.with_completed(step, output.get())?;
    }
    Ok(Work {
        pipeline,
        given: request.completed.into_keys().map(|step| step.into_owned()).collect(),
        limits: request.limits,
        job: request.job.map_or_else(|| "pipeline".to_owned(), |job| job.into_owned()),
        meta: request.meta.unwrap_or(true),
        is_dry: arguments.dry_run || request.dry_run,
    })
}

/// A dry run: what would run, in the form of the library's.
fn show(arguments: &PipelineArguments, work: &Work) -> Exit {
    let pipeline = &work.pipeline;
    let steps = pipeline.steps().map(|step| {
        let needs: Vec<&str> = pipeline.needs(step).collect();
        json!({"name": step.name(), "needs": needs})
    });
    let plan = json!({"steps": steps.collect::<Vec<_>>(), "output": pipeline.output().name()});
    let exit = match arguments.json {
        true => report::line(&json!({"status": "ok", "output": plan}).to_string()),
        false => report::line(&plan.to_string()),
    };
    draw(arguments, &Watch::new(pipeline, &work.given, true), exit)
}

fn execute(arguments: &PipelineArguments, work: &Work) -> Exit {
    let executor = match arguments.grants.config().and_then(ScriptExecutor::new) {
        Ok(executor) => Arc::new(executor),
        Err(error) => return failed(arguments, None, &error),
    };
    let (running, job) = (executor.clone(), work.job.clone());
    let interrupt = match Interrupt::cancelling(move || running.cancel(&job).is_ok()) {
        Ok(interrupt) => interrupt,
        Err(error) => {
            let message = format!("no signal handler: {error}");
            return failed(arguments, None, &Error::Internal { message });
        }
    };
    let watch = Arc::new(Watch::new(&work.pipeline, &work.given, arguments.quiet));
    let (told, shown) = (watch.clone(), watch.clone());
    if let Err(error) = notices::show_beside(&executor, move |write| shown.aside(write)) {
        return failed(arguments, None, &error);
    }
    let options = PipelineOptions {
        limits: work.limits,
        job: Some(&work.job),
        on_step: Some(Arc::new(move |event| told.on(&event))),
    };
    let ended = executor.execute_pipeline(&work.pipeline, &options);
    watch.end(&ended);
    executor.finish(PATIENCE);
    let exit = match &ended {
        Ok(output) if arguments.json => report::line(&reply(output, work.meta)),
        Ok(output) => report::line(output.output()),
        Err(error) => failed(arguments, work.runtime_of(error), error),
    };
    let is_cancelled = ended.is_err_and(|error| error.as_code() == Code::Cancelled);
    let exit = if is_cancelled && interrupt.is_pressed() { Exit::Interrupted } else { exit };
    draw(arguments, &watch, exit)
}

/// The library's reply. The output is the runtime's text.
fn reply(output: &PipelineOutput, meta: bool) -> String {
    let meta = serde_json::to_string(output.meta()).ok().filter(|_| meta);
    let meta = meta.map_or(String::new(), |meta| format!(",\"meta\":{meta}"));
    ["{\"status\":\"ok\",\"output\":", output.output(), &meta, "}"].concat()
}

/// `runtime` is that of the step that has failed.
fn failed(arguments: &PipelineArguments, runtime: Option<&str>, error: &Error) -> Exit {
    if arguments.json {
        let written = report::line(&report::error_reply(error));
        return if written == Exit::Success { error.as_code().into() } else { written };
    }
    let file = input::name(&arguments.file);
    // Nothing else is read that could give this code.
    let place = (error.as_code() == Code::InvalidJson).then_some(&*file);
    let limits = arguments.grants.limits().unwrap_or_default();
    report::error(error, place, hint_of(runtime, error, &limits).as_deref());
    error.as_code().into()
}

/// Writes the picture, if one is asked for; the status with which the program ends.
fn draw(arguments: &PipelineArguments, watch: &Watch, exit: Exit) -> Exit {
    let Some(path) = &arguments.picture else { return exit };
    match fs::write(path, watch.picture()) {
        Ok(()) => exit,
        Err(error) => {
            report::problem(&format!("{} cannot be written: {error}", path.display()), None);
            if exit == Exit::Success { Exit::Host } else { exit }
        }
    }
}
