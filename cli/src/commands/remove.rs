//! `arawn remove`: takes a runtime out of a catalog.

use crate::commands::catalog_config;
use crate::exit::Exit;
use crate::grants::limit;
use crate::places::Places;
use crate::{process, report};
use arawn::{ExecutorConfig, Result, ScriptExecutor};
use clap::Args;
use serde_json::json;

/// Removes a runtime from the catalog, and its file unless another runtime has the same one
#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// The runtime
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    places: Places,
    /// Sets a limit: timeout_ms is how long to wait for another process that changes the catalog
    #[arg(long, value_name = "NAME=VALUE", value_parser = limit::parse)]
    limit: Vec<(String, u64)>,
    /// Prints the library's reply
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &RemoveArguments) -> Exit {
    let name = &arguments.name;
    match remove(arguments) {
        Ok(()) if arguments.json => report::line(&report::ok_reply(&json!({"name": name}))),
        Ok(()) => report::text(&format!("removed {name}\n")),
        Err(error) => report::failure(arguments.json, &error, &limit::merged(&arguments.limit).unwrap_or_default()),
    }
}

fn remove(arguments: &RemoveArguments) -> Result<()> {
    let runtimes_dir = Some(arguments.places.runtimes_with_one()?);
    process::for_one_call()?;
    let config = catalog_config(&arguments.places, &arguments.limit)?;
    ScriptExecutor::new(ExecutorConfig { runtimes_dir, ..config })?.remove(&arguments.name)
}
