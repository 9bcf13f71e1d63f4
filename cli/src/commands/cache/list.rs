//! `arawn cache list`.

use crate::commands::catalog_executor;
use crate::exit::Exit;
use crate::places::Places;
use crate::report;
use crate::table::Table;
use crate::units::{age, count, size};
use arawn::{CachedCode, CodeCache, Limits, Result, ScriptExecutor, Sha256};
use clap::Args;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Lists the compiled code, the least recently used first, with the runtimes of the catalog that it is of
#[derive(Debug, Args)]
pub struct CacheListArguments {
    #[command(flatten)]
    places: Places,
    /// Prints a reply in JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What is in the cache, each with the runtimes that it is of.
struct Found {
    cache: Option<CodeCache>,
    artifacts: Vec<(CachedCode, Vec<String>)>,
}

pub fn run(arguments: &CacheListArguments) -> Exit {
    match found(arguments) {
        Ok(found) if arguments.json => report::line(&report::ok_reply(&found.json())),
        Ok(found) => found.show(),
        Err(error) => report::failure(arguments.json, &error, &Limits::default()),
    }
}

fn found(arguments: &CacheListArguments) -> Result<Found> {
    let Some(cache) = super::open(&arguments.places)? else {
        return Ok(Found { cache: None, artifacts: Vec::new() });
    };
    let artifacts = cache.list()?;
    let names = if artifacts.is_empty() { HashMap::new() } else { names(&catalog_executor(&arguments.places)?) };
    let named = |code: CachedCode| {
        let names = code.module_sha256.and_then(|sha| names.get(&sha).cloned());
        (code, names.unwrap_or_default())
    };
    Ok(Found { cache: Some(cache), artifacts: artifacts.into_iter().map(named).collect() })
}

/// The runtimes by the modules that they run. One whose file cannot be read has none.
fn names(executor: &ScriptExecutor) -> HashMap<Sha256, Vec<String>> {
    let mut names: HashMap<Sha256, Vec<String>> = HashMap::new();
    for entry in executor.catalog().list() {
        if let Ok(sha) = executor.module_sha256(&entry.name) {
            names.entry(sha).or_default().push(entry.name.clone());
        }
    }
    names
}

impl Found {
    fn json(&self) -> Value {
        let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let artifacts = self.artifacts.iter().map(|(code, runtimes)| {
            json!({
                "kind": if code.module_sha256.is_some() { "code" } else { "snapshot" },
                "module_sha256": code.module_sha256,
                "runtimes": runtimes,
                "compatibility": code.compatibility,
                "bytes": code.bytes,
                "used_unix": seconds(code.used),
            })
        });
        json!({
            "cache_dir": self.cache.as_ref().map(|cache| cache.directory().to_string_lossy()),
            "artifacts": artifacts.collect::<Vec<_>>(),
        })
    }

    fn show(&self) -> Exit {
        let Some(cache) = self.cache.as_ref().filter(|_| !self.artifacts.is_empty()) else {
            let exit = report::text("");
            report::note(
                "the cache is empty: a run fills it, and `arawn cache warm` compiles all runtimes of a catalog",
            );
            return exit;
        };
        let mut table = Table::new(["RUNTIME", "SIZE", "USED", "MODULE"], &[1, 2]);
        for (code, runtimes) in &self.artifacts {
            let (name, module) = match code.module_sha256 {
                Some(sha) if runtimes.is_empty() => ("-".to_owned(), format!("{sha:.16}")),
                Some(sha) => (runtimes.join(", "), format!("{sha:.16}")),
                None => ("-".to_owned(), "a snapshot".to_owned()),
            };
            let used = SystemTime::now().duration_since(code.used).unwrap_or(Duration::ZERO);
            table.row([&name, &size(code.bytes), &age(used), &module]);
        }
        let bytes = self.artifacts.iter().map(|(code, _)| code.bytes).sum();
        let number = count(self.artifacts.len() as u64, "artifact", "artifacts");
        let exit = report::text(&table.text());
        if exit == Exit::Success {
            let directory = report::cell(&cache.directory().display().to_string());
            report::note(&format!("{number}, {} in {directory}", size(bytes)));
        }
        exit
    }
}
