//! The versions of a runtime that are measured: one, or two that are compared.

use super::BenchArguments;
use crate::call::{CallArguments, Target};
use crate::grants::Grants;
use crate::places::Places;
use crate::report::cell;
use arawn::{CallOptions, Code, Error, ExecutorConfig, Reload, Result, RuntimeInput, RuntimeOutput, ScriptExecutor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of calls that a Ctrl-C ends.
const JOB: &str = "bench";

/// One version: a runtime of an executor of its own.
pub struct Version {
    /// What it is called in the results.
    pub name: String,
    executor: Arc<ScriptExecutor>,
    runtime: String,
}

impl Version {
    fn new(name: &str, target: &Target, grants: &Grants) -> Result<Self> {
        // Looking at files again would be a part of each call of a runtime that has some.
        let config = ExecutorConfig { reload: Reload::Never, ..target.config(grants)? };
        let (executor, runtime) = target.executor(config)?;
        Ok(Version { name: cell(name), executor: Arc::new(executor), runtime })
    }

    /// Whether there is no runtime of that name.
    fn is_unknown(&self) -> bool {
        self.executor.inspect(&self.runtime).is_err_and(|error| error.as_code() == Code::UnknownRuntime)
    }

    /// A call that Ctrl-C waits for.
    pub fn call(&self, input: &RuntimeInput<'_>) -> Result<RuntimeOutput> {
        self.executor.execute_runtime(&self.runtime, input)
    }

    /// A call that Ctrl-C ends by its name, which takes a little more time.
    pub fn call_named(&self, input: &RuntimeInput<'_>) -> Result<RuntimeOutput> {
        let options = CallOptions { job: Some(JOB), ..CallOptions::default() };
        self.executor.execute_runtime_with(&self.runtime, input, &options)
    }

    /// Ends a call that can be ended. Returns whether there was one.
    pub fn cancel(&self) -> impl Fn() -> bool + Send + 'static {
        let executor = self.executor.clone();
        move || executor.cancel(JOB).is_ok()
    }
}

/// The version to measure, and the one to compare it with.
pub fn versions(arguments: &BenchArguments) -> Result<Vec<Version>> {
    let BenchArguments { call, grants, against, against_runtimes, .. } = arguments;
    let first = Version::new(&call.name, &call.target()?, grants)?;
    let in_directory = |name: &str, directory: &Path| {
        let runtimes = catalog_in(directory).unwrap_or_else(|| directory.to_owned());
        let places = Places { runtimes: Some(runtimes), ..grants.places.clone() };
        let grants = Grants { places, ..grants.clone() };
        let target = Target::Named(name.to_owned());
        Version::new(&format!("{name} in {}", directory.display()), &target, &grants)
    };
    let second = match (against.as_deref(), against_runtimes.as_deref()) {
        (None, None) => return Ok(vec![first]),
        (None, Some(directory)) => in_directory(&call.name, directory)?,
        (Some(name), Some(directory)) => in_directory(name, directory)?,
        (Some(name), None) if catalog_in(Path::new(name)).is_some() => in_directory(&call.name, Path::new(name))?,
        (Some(name), None) => {
            let is_directory = Path::new(name).is_dir();
            let no_catalog = || {
                invalid(format!(
                    "is the directory `{name}`, which has no catalog.toml, neither in it nor in its `runtimes`"
                ))
            };
            // A runtime may have the name of a directory, but not a path.
            if is_directory && Path::new(name).components().count() > 1 {
                return Err(no_catalog());
            }
            let call = CallArguments { name: name.to_owned(), ..call.clone() };
            let target = call.target()?;
            if target == arguments.call.target()? {
                let message = format!("is `{name}` itself: name another runtime, a file, or a catalog's directory");
                return Err(invalid(message));
            }
            let version = Version::new(name, &target, grants)?;
            if is_directory && version.is_unknown() {
                return Err(no_catalog());
            }
            version
        }
    };
    Ok(vec![first, second])
}

fn invalid(message: String) -> Error {
    Error::InvalidRequest { path: "--against".to_owned(), message }
}

/// The catalog in a directory: the directory's own, or that of a project.
fn catalog_in(directory: &Path) -> Option<PathBuf> {
    let candidates = [directory.to_owned(), directory.join("runtimes")];
    candidates.into_iter().find(|directory| directory.join("catalog.toml").is_file())
}
