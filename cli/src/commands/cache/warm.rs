//! `arawn cache warm`.

use crate::commands::catalog_config;
use crate::exit::Exit;
use crate::grants::limit;
use crate::hints::hint;
use crate::places::Places;
use crate::table::Table;
use crate::task::Task;
use crate::units::duration;
use crate::{notices, process, report};
use arawn::{CacheDir, CachedCode, CodeCache, Error, Limits, Result, ScriptExecutor, Sha256};
use clap::Args;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long the process waits for the cache before it ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest modules compile within minutes.
const TIMEOUT_MS: u64 = 600_000;

/// Compiles the runtimes of the catalog, so that their first calls need not
#[derive(Debug, Args)]
pub struct CacheWarmArguments {
    /// The runtimes [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    places: Places,
    /// Sets a limit that the calls will have, such as module_bytes=536870912 or fuel=1000000; timeout_ms is that of one
    /// runtime, ten minutes by default
    #[arg(long, value_name = "NAME=VALUE", value_parser = limit::parse)]
    limit: Vec<(String, u64)>,
    /// Prints a reply in JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// One runtime: where its code came from, or why it is not ready.
struct Warmed {
    name: String,
    result: Result<&'static str>,
    took: Duration,
}

pub fn run(arguments: &CacheWarmArguments) -> Exit {
    match warm(arguments) {
        Ok(warmed) => show(arguments, &warmed),
        Err(error) => report::failure(arguments.json, &error, &limits(arguments)),
    }
}

fn warm(arguments: &CacheWarmArguments) -> Result<Vec<Warmed>> {
    process::for_one_call()?;
    let mut config = catalog_config(&arguments.places, &arguments.limit)?;
    config.runtimes_dir = arguments.places.runtimes()?;
    let (timeout_ms, cache_dir) = (limits(arguments).timeout_ms, config.cache_dir.clone());
    let before = kept(&cache_dir).unwrap_or_default();
    let executor = ScriptExecutor::new(config)?;
    let names = if arguments.names.is_empty() { all(&executor) } else { arguments.names.clone() };
    // A typo is told before anything is compiled.
    names.iter().try_for_each(|name| executor.catalog().resolve(name).map(drop))?;
    let task = Task::of(names.len());
    notices::show_in(&executor, &task)?;
    let one = |name: String| {
        task.say(report::cell(&name));
        let begun = Instant::now();
        let result = executor.warm(&name, timeout_ms);
        task.part_ended();
        Warmed { name, result, took: begun.elapsed() }
    };
    let mut warmed: Vec<Warmed> = names.into_iter().map(one).collect();
    executor.finish(PATIENCE);
    task.end();
    let after = kept(&cache_dir);
    // An artifact of another version of the library has been there before, and is of no use to this one.
    let is_new = |code: &&CachedCode| !before.contains(code);
    let written = after.iter().flatten().filter(is_new).filter_map(|code| code.module_sha256);
    let is_read = |warmed: &&Warmed| warmed.result.as_ref().is_ok_and(|tier| *tier == "disk");
    let sha_of = |warmed: &Warmed| executor.module_sha256(&warmed.name).ok();
    let there: HashSet<Sha256> = written.chain(warmed.iter().filter(is_read).filter_map(sha_of)).collect();
    for one in warmed.iter_mut().filter(|warmed| warmed.result.is_ok()) {
        if !sha_of(one).is_some_and(|sha| there.contains(&sha)) {
            one.result = Err(not_kept(&cache_dir, after.as_ref().err()));
        }
    }
    Ok(warmed)
}

/// The limits as the command line has them.
fn limits(arguments: &CacheWarmArguments) -> Limits {
    let timeout_ms = ("timeout_ms".to_owned(), TIMEOUT_MS);
    let limits: Vec<_> = [timeout_ms].into_iter().chain(arguments.limit.iter().cloned()).collect();
    limit::merged(&limits).unwrap_or_default()
}

/// What is in the cache.
fn kept(cache_dir: &CacheDir) -> Result<Vec<CachedCode>> {
    CodeCache::open(cache_dir)?.map_or(Ok(Vec::new()), |cache| cache.list())
}

/// The error for code that was compiled in vain, and why the cache cannot be read, if it cannot.
fn not_kept(cache_dir: &CacheDir, unreadable: Option<&Error>) -> Error {
    let path = match cache_dir {
        CacheDir::At(directory) => format!("the cache {}", directory.display()),
        _ => "the platform's cache directory".to_owned(),
    };
    let reason = match unreadable {
        Some(Error::InvalidConfig { message, .. }) => format!("it {message}"),
        Some(error) => error.to_string(),
        None => "the code was compiled, and is not in it afterwards".to_owned(),
    };
    Error::CatalogUnwritable { path, reason }
}

fn all(executor: &ScriptExecutor) -> Vec<String> {
    executor.catalog().list().iter().map(|entry| entry.name.clone()).collect()
}

fn show(arguments: &CacheWarmArguments, warmed: &[Warmed]) -> Exit {
    let first = warmed.iter().find_map(|warmed| warmed.result.as_ref().err());
    let written = if arguments.json { report::line(&reply(warmed)) } else { report::text(&table(warmed)) };
    if !arguments.json {
        for Warmed { name, result, .. } in warmed {
            if let Err(error) = result {
                let hint = match error {
                    Error::CatalogUnwritable { .. } => Some("--cache DIR names a directory for it".to_owned()),
                    error => hint(error, &limits(arguments)),
                };
                report::error(error, Some(&report::cell(name)), hint.as_deref());
            }
        }
    }
    match (written, first) {
        (Exit::Success, Some(error)) => error.as_code().into(),
        (written, _) => written,
    }
}

fn reply(warmed: &[Warmed]) -> String {
    let one = |Warmed { name, result, took }: &Warmed| {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match result {
            Ok(cache) => json!({"name": name, "cache": cache, "took_us": took_us}),
            Err(error) => {
                json!({"name": name, "error": report::words(error), "code": error.code(), "took_us": took_us})
            }
        }
    };
    let runtimes: Vec<Value> = warmed.iter().map(one).collect();
    report::ok_reply(&json!({"runtimes": runtimes}))
}

fn table(warmed: &[Warmed]) -> String {
    let mut table = Table::new(["RUNTIME", "CODE", "TOOK"], &[2]);
    for Warmed { name, result, took } in warmed {
        let code = match result.as_deref() {
            Ok("compiled") => "compiled",
            Ok(_) => "was there",
            Err(Error::CatalogUnwritable { .. }) => "not kept",
            Err(_) => "failed",
        };
        table.row([name, code, &duration(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))]);
    }
    table.text()
}
