//! `arawn list`: the runtimes that there are.

use crate::exit::Exit;
use crate::places::Places;
use crate::report;
use crate::table::Table;
use arawn::{Category, Limits, Result, RuntimeCatalog, RuntimeEntry};
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Lists the runtimes: those of the catalog, and the built-in ones
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    places: Places,
    /// Prints the library's reply instead of a table
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &ListArguments) -> Exit {
    match found(arguments) {
        Ok(catalog) if arguments.json => {
            let runtimes: Vec<Value> = catalog.list().iter().map(|entry| listed(entry)).collect();
            report::line(&report::ok_reply(&json!({"runtimes": runtimes})))
        }
        Ok(catalog) => show(&catalog),
        Err(error) => report::failure(arguments.json, &error, &Limits::default()),
    }
}

fn found(arguments: &ListArguments) -> Result<RuntimeCatalog> {
    match arguments.places.runtimes()? {
        Some(directory) => RuntimeCatalog::load(&directory),
        None => Ok(RuntimeCatalog::embedded()),
    }
}

fn listed(entry: &RuntimeEntry) -> Value {
    json!({
        "name": entry.name,
        "category": entry.category,
        "description": entry.description,
        "has_config_schema": entry.config_schema().is_some(),
    })
}

fn show(catalog: &RuntimeCatalog) -> Exit {
    let entries = catalog.list();
    let mut table = Table::new(["NAME", "FROM", "DESCRIPTION"], &[]);
    for entry in &entries {
        let from = match entry.category {
            Category::Builtin => "built-in",
            Category::Custom => "custom",
        };
        table.row([&entry.name, from, &entry.description]);
    }
    let exit = report::text(&table.text());
    if let Some(next) = next(catalog.directory(), &entries).filter(|_| exit == Exit::Success) {
        report::note(&next);
    }
    exit
}

/// What to do where there are no runtimes but those that are built in.
fn next(directory: Option<&Path>, entries: &[Arc<RuntimeEntry>]) -> Option<String> {
    match directory {
        None => Some(
            "these are built in; --runtimes DIR lists those of a catalog too, and FILEs run without one".to_owned(),
        ),
        Some(directory) if entries.iter().all(|entry| entry.path().is_none()) => Some(format!(
            "{} has no runtimes yet: `arawn register NAME FILE` adds one",
            report::printable(&directory.display().to_string())
        )),
        Some(_) => None,
    }
}
