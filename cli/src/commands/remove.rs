//! `arawn remove`: takes a runtime out of a catalog.

use crate::commands::catalog_executor;
use crate::exit::Exit;
use crate::places::Places;
use crate::report;
use arawn::{Limits, Result};
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
    /// Prints the library's reply
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &RemoveArguments) -> Exit {
    let name = &arguments.name;
    let removed: Result<()> = catalog_executor(&arguments.places, &[]).and_then(|executor| executor.remove(name));
    match removed {
        Ok(()) if arguments.json => report::line(&report::ok_reply(&json!({"name": name}))),
        Ok(()) => report::text(&format!("removed {name}\n")),
        Err(error) => report::failure(arguments.json, &error, &Limits::default()),
    }
}
