//! `arawn inspect`: what is known of one runtime.

use crate::call::Target;
use crate::commands::catalog_config;
use crate::exit::Exit;
use crate::places::Places;
use crate::report::{self, cell};
use crate::units::size;
use crate::{call, process};
use anstyle::{AnsiColor, Style};
use arawn::{Inspection, Language, Limits, Result};
use clap::Args;
use serde_json::json;

/// Shows what a catalog says of a runtime, and what its file is
///
/// A runtime that a call would refuse is shown with the reason.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// A runtime of the catalog, a built-in runtime, or a file
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    places: Places,
    /// Prints the library's reply
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &InspectArguments) -> Exit {
    match inspected(arguments) {
        Ok(inspection) if arguments.json => report::line(&report::ok_reply(&json!(inspection))),
        Ok(inspection) => report::text(&shown(&inspection)),
        Err(error) => report::failure(arguments.json, &error, &Limits::default()),
    }
}

fn inspected(arguments: &InspectArguments) -> Result<Inspection> {
    let target = call::target(&arguments.name)?;
    process::for_one_call()?;
    let mut config = catalog_config(&arguments.places, &[])?;
    if let Target::Named(_) = target {
        config.runtimes_dir = arguments.places.runtimes()?;
    }
    let (executor, name) = target.executor(config)?;
    executor.inspect(&name)
}

/// The language's name as it is written.
fn written(language: Language) -> &'static str {
    match language {
        Language::Javascript => "JavaScript",
        Language::Lua => "Lua",
    }
}

/// A line for each thing that is known.
fn shown(inspection: &Inspection) -> String {
    const LABEL: Style = Style::new().dimmed();
    const PROBLEM: Style = AnsiColor::Red.on_default();
    let Inspection { name, description, path, args, env, config_schema, pin, sha256, .. } = inspection;
    let mut lines: Vec<(&str, String)> = vec![("name", name.clone()), ("description", description.clone())];
    let mut add = |label, value: Option<String>| lines.extend(value.map(|value| (label, value)));
    let kind = inspection.kind.map(str::to_owned);
    add("kind", inspection.language.map_or(kind, |language| Some(format!("script in {}", written(language)))));
    add("file", Some(path.clone().unwrap_or_else(|| "built into the program".to_owned())));
    add("size", inspection.bytes.map(size));
    add("sha256", sha256.map(|sum| sum.to_string()));
    add("pinned", pin.as_ref().filter(|pin| sha256.is_none_or(|sum| sum.to_string() != **pin)).cloned());
    add("arguments", (!args.is_empty()).then(|| format!("{args:?}")));
    let variables: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    add("variables", (!env.is_empty()).then(|| variables.join(" ")));
    add("config", config_schema.as_ref().map(|schema| format!("must fit {schema}")));
    let capabilities = inspection.capabilities.as_ref().map(|names| names.join(", "));
    add("can use", capabilities.map(|names| if names.is_empty() { "nothing of the host".to_owned() } else { names }));
    add("imports", inspection.imports.as_ref().filter(|names| !names.is_empty()).map(|names| names.join(", ")));
    add(
        "begins",
        inspection.snapshot.as_ref().map(|snapshot| match (&snapshot.problem, snapshot.memory_bytes) {
            (None, Some(bytes)) => format!("from a snapshot of {}", size(bytes)),
            (None, None) => "from a snapshot".to_owned(),
            (Some(problem), _) => format!("from the start: {problem}"),
        }),
    );
    let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let line = |(label, value): &(&str, String)| format!("{LABEL}{label:<width$}{LABEL:#}  {}\n", cell(value));
    let mut text: String = lines.iter().filter(|(_, value)| !value.is_empty()).map(line).collect();
    if let Some(problem) = &inspection.problem {
        text += &format!("{PROBLEM}{:<width$}{PROBLEM:#}  {}\n", "problem", cell(&problem.error));
    }
    text
}
