//! Where runtimes come from, and where compiled code is kept.

use crate::near::did_you_mean;
use crate::project::Project;
use arawn::{CacheDir, Error, Result};
use clap::Args;
use std::io::ErrorKind;
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
        Project::here()?.map(|project| project.runtimes()).ok_or_else(|| needed("gets"))
    }

    /// The directory of the catalog that has a runtime.
    pub fn runtimes_with_one(&self) -> Result<PathBuf> {
        self.runtimes()?.ok_or_else(|| needed("has"))
    }

    pub fn cache_dir(&self) -> CacheDir {
        self.cache.clone().map_or(CacheDir::Platform, CacheDir::At)
    }
}

fn needed(verb: &str) -> Error {
    let message = format!("is needed: the directory of the catalog that {verb} the runtime");
    Error::InvalidConfig { path: "runtimes_dir".to_owned(), message }
}

/// Whether a catalog is in the directory, or was made there. The library would take any directory for an empty one. It also
/// says why a directory cannot be read.
fn is_catalog(directory: &Path) -> bool {
    directory.join("catalog.toml").try_exists().unwrap_or(true) || directory.join("custom").is_dir()
}

/// The library would make a directory that is missing, and a typo would be a new directory.
fn existing(directory: &Path, from: &str) -> Result<PathBuf> {
    let problem = match directory.metadata() {
        Ok(metadata) if metadata.is_dir() => return Ok(directory.to_owned()),
        Err(error) if error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::NotADirectory => {
            format!("cannot be read: {error}")
        }
        _ => format!("is no directory{}", did_you_mean(directory)),
    };
    let message = format!("is `{}`{from}, which {problem}", directory.display());
    Err(Error::InvalidConfig { path: "runtimes_dir".to_owned(), message })
}
