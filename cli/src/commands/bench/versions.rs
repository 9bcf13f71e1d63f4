//! The versions of a runtime that are measured: one, or two that are compared.

use super::BenchArguments;
use crate::call::{CallArguments, Target};
use crate::grants::Grants;
use crate::places::Places;
use crate::report::cell;
use arawn::{CallOptions, Error, ExecutorConfig, Reload, Result, RuntimeInput, RuntimeOutput, ScriptExecutor};
use std::path::Path;
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
        let places = Places { runtimes: Some(directory.to_owned()), ..grants.places.clone() };
        let grants = Grants { places, ..grants.clone() };
        let target = Target::Named(name.to_owned());
        Version::new(&format!("{name} in {}", directory.display()), &target, &grants)
    };
    let second = match (against.as_deref(), against_runtimes.as_deref()) {
        (None, None) => return Ok(vec![first]),
        (None, Some(directory)) => in_directory(&call.name, directory)?,
        (Some(name), Some(directory)) => in_directory(name, directory)?,
        (Some(name), None) if is_catalog(Path::new(name)) => in_directory(&call.name, Path::new(name))?,
        (Some(name), None) => {
            let call = CallArguments { name: name.to_owned(), ..call.clone() };
            let target = call.target()?;
            if target == arguments.call.target()? {
                let message = format!("is `{name}` itself: name another runtime, a file, or a catalog's directory");
                return Err(Error::InvalidRequest { path: "--against".to_owned(), message });
            }
            Version::new(name, &target, grants)?
        }
    };
    Ok(vec![first, second])
}

/// A directory is a catalog's if it has the file of one, or if it can be nothing else.
fn is_catalog(path: &Path) -> bool {
    path.is_dir() && (path.join("catalog.toml").is_file() || path.components().count() > 1)
}
