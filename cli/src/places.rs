//! Where runtimes come from, and where compiled code is kept.

use crate::near::did_you_mean;
use crate::project::Project;
use arawn::{CacheDir, Error, Result};
use clap::Args;
use std::path::{Path, PathBuf};

/// The variable that names the directory of runtimes.
pub const RUNTIMES: &str = "ARAWN_RUNTIMES";

#[derive(Clone, Debug, Default, Args)]
pub struct Places {
    /// The directory with `catalog.toml` [default: $ARAWN_RUNTIMES; inside a project (a directory with `arawn.toml`) its
    /// `runtimes`; else the built-in runtimes alone]
    #[arg(long, value_name = "DIR")]
    pub runtimes: Option<PathBuf>,
    /// Where compiled modules are kept between runs [default: the platform's cache directory]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The directory of runtimes; `None` where there are the built-in ones alone.
    pub fn runtimes(&self) -> Result<Option<PathBuf>> {
        let variable = || std::env::var_os(RUNTIMES).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(directory) = &self.runtimes {
            return existing(directory, "").map(Some);
        }
        if let Some(directory) = variable() {
            return existing(&directory, &format!(" (from ${RUNTIMES})")).map(Some);
        }
        Ok(Project::here()?.map(|project| project.runtimes()).filter(|directory| directory.is_dir()))
    }

    pub fn cache_dir(&self) -> CacheDir {
        self.cache.clone().map_or(CacheDir::Platform, CacheDir::At)
    }
}

/// The library would make a directory that is missing, and a typo would be a new directory.
fn existing(directory: &Path, from: &str) -> Result<PathBuf> {
    if directory.is_dir() {
        return Ok(directory.to_owned());
    }
    let message = format!("is `{}`{from}, which is no directory{}", directory.display(), did_you_mean(directory));
    Err(Error::InvalidConfig { path: "runtimes_dir".to_owned(), message })
}
