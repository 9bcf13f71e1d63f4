//! `arawn cache clear`.

use crate::exit::Exit;
use crate::places::Places;
use crate::report;
use crate::units::{count, size};
use arawn::{Cleared, Limits, Result};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Removes the compiled code of all versions, and nothing else that is in the directory
#[derive(Debug, Args)]
pub struct CacheClearArguments {
    /// The directory of the cache [default: the platform's]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Prints a reply in JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &CacheClearArguments) -> Exit {
    let places = Places { cache: arguments.cache.clone(), ..Places::default() };
    let cleared: Result<Option<Cleared>> =
        super::open(&places).and_then(|cache| cache.map(|cache| cache.clear()).transpose());
    match cleared {
        Err(error) => report::failure(arguments.json, &error, &Limits::default()),
        Ok(cleared) => {
            let Cleared { artifacts, bytes } = cleared.unwrap_or_default();
            match arguments.json {
                true => report::line(&report::ok_reply(&json!({"artifacts": artifacts, "bytes": bytes}))),
                false if artifacts == 0 && bytes == 0 => report::text("the cache was empty\n"),
                false => {
                    let artifacts = count(artifacts, "artifact", "artifacts");
                    report::text(&format!("removed {artifacts}, {}\n", size(bytes)))
                }
            }
        }
    }
}
