//! `arawn cache`: the compiled code that processes keep for each other.

mod clear;
mod list;
mod warm;

use crate::exit::Exit;
use crate::near::did_you_mean;
use crate::places::Places;
use arawn::{CodeCache, Error, Result};
use clap::{Args, Subcommand};

/// Shows, empties or fills the cache of compiled code
///
/// Every process can do without the cache: a runtime that is not in it is compiled.
#[derive(Debug, Args)]
pub struct CacheArguments {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    List(list::CacheListArguments),
    Clear(clear::CacheClearArguments),
    Warm(warm::CacheWarmArguments),
}

pub fn run(arguments: &CacheArguments) -> Exit {
    match &arguments.command {
        CacheCommand::List(arguments) => list::run(arguments),
        CacheCommand::Clear(arguments) => clear::run(arguments),
        CacheCommand::Warm(arguments) => warm::run(arguments),
    }
}

/// The cache; `None` where nothing was kept yet. A directory that the command line names must exist: a typo would look
/// like an empty cache.
fn open(places: &Places) -> Result<Option<CodeCache>> {
    let cache = CodeCache::open(&places.cache_dir())?;
    match (&places.cache, cache) {
        (Some(directory), None) => {
            let message = format!("is `{}`, which does not exist{}", directory.display(), did_you_mean(directory));
            Err(Error::InvalidConfig { path: "cache_dir".to_owned(), message })
        }
        (_, cache) => Ok(cache),
    }
}
