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
        let named = self.named()?;
        if let Some(directory) = named.as_deref().filter(|directory| !is_catalog(directory)) {
            let message = format!(
                "is `{}`, which has no catalog.toml; `arawn register NAME FILE` makes one",
                directory.display()
            );
            return Err(Error::InvalidConfig { path: "runtimes_dir".to_owned(), message });
        }
        if named.is_some() {
            return Ok(named);
        }
        Ok(Project::here()?.map(|project| project.runtimes()).filter(|directory| directory.is_dir()))
    }

    /// The directory that the command line or the environment names.
    fn named(&self) -> Result<Option<PathBuf>> {
        let variable = || std::env::var_os(RUNTIMES).filter(|value| !value.is_empty()).map(PathBuf::from);
        match &self.runtimes {
            Some(directory) => existing(directory, "").map(Some),
            None => variable().map(|directory| existing(&directory, &format!(" (from ${RUNTIMES})"))).transpose(),
        }
    }

    /// The directory of a catalog that is to be changed. Only that of a project may be missing: no typo makes it.
    pub fn runtimes_to_write(&self) -> Result<PathBuf> {
        if let Some(directory) = self.named()? {
            return Ok(directory);
        }
        match Project::here()? {
            Some(project) => Ok(project.runtimes()),
            None => {
                let message = "is needed: the directory of the catalog that gets the runtime".to_owned();
                Err(Error::InvalidConfig { path: "runtimes_dir".to_owned(), message })
            }
        }
    }

    pub fn cache_dir(&self) -> CacheDir {
        self.cache.clone().map_or(CacheDir::Platform, CacheDir::At)
    }
}

/// Whether a catalog is in the directory, or was made there. The library would make one in any directory.
fn is_catalog(directory: &Path) -> bool {
    directory.join("catalog.toml").exists() || directory.join("custom").is_dir()
}

/// The library would make a directory that is missing, and a typo would be a new directory.
fn existing(directory: &Path, from: &str) -> Result<PathBuf> {
    if directory.is_dir() {
        return Ok(directory.to_owned());
    }
    let message = format!("is `{}`{from}, which is no directory{}", directory.display(), did_you_mean(directory));
    Err(Error::InvalidConfig { path: "runtimes_dir".to_owned(), message })
}
