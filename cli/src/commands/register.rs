//! `arawn register`: adds a runtime to a catalog.

mod arguments;

pub use arguments::RegisterArguments;

use crate::exit::Exit;
use crate::grants::limit;
use crate::hints::hint;
use crate::near::did_you_mean;
use crate::task::Task;
use crate::units::size;
use crate::{commands, input, names, notices, process, report};
use arawn::{Error, Inspection, ModuleSource, Registration, Result, ScriptExecutor};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// How long the process waits for the cache before it ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a file is looked at to tell a text.
const BEGIN: usize = 512;

pub fn run(arguments: &RegisterArguments) -> Exit {
    let mut is_text = false;
    let registered = registration(arguments).and_then(|registration| {
        is_text = self::is_text(&registration.module);
        register(arguments, registration)
    });
    match registered {
        Ok(inspection) if arguments.json => report::line(&report::ok_reply(&json!(inspection))),
        Ok(inspection) => {
            let exit = report::text(&told(&inspection));
            if let Some(problem) = inspection.snapshot.as_ref().and_then(|snapshot| snapshot.problem.as_ref()) {
                report::note(&format!(
                    "its calls begin from the start, not from a snapshot: {}",
                    report::cell(problem)
                ));
            }
            exit
        }
        Err(Error::InvalidRequest { path, .. }) if path == "name" && !arguments.json => {
            names::refusal(&arguments.name).report()
        }
        Err(error) => report::fail(arguments.json, &error, || match error {
            Error::ModuleInvalid { .. } if is_text => {
                Some("--language javascript or --language lua says that FILE is a script".to_owned())
            }
            _ => hint(&error, &limit::merged(&arguments.limit).unwrap_or_default()),
        }),
    }
}

/// Whether a file that is taken for a module begins as a text does.
fn is_text(module: &ModuleSource) -> bool {
    let begin = match module {
        ModuleSource::Bytes(bytes) => bytes.get(..BEGIN).unwrap_or(bytes).to_vec(),
        // Opening a FIFO would wait for a writer.
        ModuleSource::Path(path) if path.is_file() => {
            let mut bytes = Vec::new();
            let _ = File::open(path).and_then(|file| file.take(BEGIN as u64).read_to_end(&mut bytes));
            bytes
        }
        _ => return false,
    };
    // The last character may be a part of one.
    let is_utf8 = str::from_utf8(&begin).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && !begin.is_empty() && !begin.contains(&0)
}

fn register(arguments: &RegisterArguments, registration: Registration) -> Result<Inspection> {
    let name = registration.name.clone();
    process::for_one_call()?;
    let mut config = commands::catalog_config(&arguments.places, &arguments.limit)?;
    config.runtimes_dir = Some(arguments.places.runtimes_to_write()?);
    let executor = ScriptExecutor::new(config)?;
    let task = Task::begin(format!("registering {}", report::cell(&name)));
    notices::show_in(&executor, &task)?;
    let registered = executor.register(registration);
    executor.finish(PATIENCE);
    task.end();
    registered?;
    executor.inspect(&name)
}

fn registration(arguments: &RegisterArguments) -> Result<Registration> {
    let file = arguments.file.as_deref().and_then(Path::to_str);
    let (schema, warm_up) = (arguments.config_schema.as_deref(), arguments.warm_up.as_deref());
    input::check_stdin(&[("FILE", file), ("--config-schema", schema), ("--warm-up", warm_up)])?;
    let mut registration = Registration::new(&arguments.name, module(arguments)?);
    let schema = arguments.config_schema.as_deref().map(|value| input::json("--config-schema", value)).transpose()?;
    registration.config_schema = schema.map(|text| parsed("--config-schema", &text)).transpose()?;
    registration.warm_up = arguments.warm_up.as_deref().map(|value| input::json("--warm-up", value)).transpose()?;
    registration.language = arguments.language.map(Into::into);
    registration.description = arguments.description.clone().unwrap_or_default();
    registration.args = arguments.arg.clone();
    registration.env = arguments.env.iter().cloned().collect();
    registration.snapshot = arguments.snapshot.map(Into::into);
    registration.shared_random = arguments.shared_random;
    registration.replace = arguments.replace;
    registration.timeout_ms = arguments.timeout_ms;
    Ok(registration)
}

fn parsed(option: &str, text: &str) -> Result<Value> {
    let invalid = |error: serde_json::Error| Error::InvalidRequest {
        path: option.to_owned(),
        message: format!("cannot be read: {error}"),
    };
    serde_json::from_str(text).map_err(invalid)
}

fn module(arguments: &RegisterArguments) -> Result<ModuleSource> {
    let Some(path) = &arguments.file else {
        return Ok(ModuleSource::Of(arguments.of.clone().unwrap_or_default()));
    };
    let invalid = |message| Error::InvalidRequest { path: input::name(path), message };
    if path.as_os_str() == "-" {
        // One byte more than may be, which the library then refuses.
        let module_bytes = limit::merged(&arguments.limit)?.module_bytes;
        let bytes = input::stdin(module_bytes.saturating_add(1))?;
        return match arguments.language {
            None => Ok(ModuleSource::Bytes(bytes)),
            // The last character may be a part of one.
            Some(_) if bytes.len() as u64 > module_bytes => {
                let (runtime, bytes) = (arguments.name.clone(), bytes.len() as u64);
                Err(Error::ModuleTooLarge { runtime, bytes, module_bytes })
            }
            Some(language) => Ok(ModuleSource::Script(input::text("stdin", bytes)?, language.into())),
        };
    }
    exists(path).map_err(invalid)?;
    Ok(ModuleSource::Path(path.clone()))
}

fn exists(path: &Path) -> std::result::Result<(), String> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err("is a directory: name the file of the runtime".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot be read: {error}{}", did_you_mean(path))),
    }
}

/// `registered csv: component, 1.2 MB`
fn told(inspection: &Inspection) -> String {
    let kind = inspection.kind.unwrap_or("runtime");
    let bytes = inspection.bytes.map_or(String::new(), |bytes| format!(", {}", size(bytes)));
    format!("registered {}: {kind}{bytes}\n", report::cell(&inspection.name))
}
