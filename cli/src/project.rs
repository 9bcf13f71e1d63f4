//! The project that the program is called in: the nearest directory upwards that has an `arawn.toml`.

mod sources;

pub use sources::written;

use crate::failed::{self, Failed};
use crate::language::Language;
use crate::near::did_you_mean;
use crate::places::RUNTIMES;
use crate::shell;
use arawn::{Error, Result, SnapshotMode};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// The file that makes a directory a project.
pub const FILE: &str = "arawn.toml";

/// A project, which `arawn new` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The directory that has `arawn.toml`.
    pub directory: PathBuf,
    pub settings: Settings,
}

/// What `arawn.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of the project's runtime.
    pub name: String,
    /// The language that it is written in.
    pub language: Language,
    // What follows is said of the runtime in the catalog, where `arawn build` puts it.
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    pub config_schema: Option<Value>,
    /// With `init` calls begin from a snapshot, and a module is made for that.
    pub snapshot: Option<SnapshotMode>,
    pub warm_up: Option<String>,
    #[serde(default)]
    pub shared_random: bool,
}

impl Settings {
    /// Whether a module is to export `arawn_run` in place of `_start`.
    pub fn is_reactor(&self) -> bool {
        self.snapshot == Some(SnapshotMode::Init)
    }
}

impl Project {
    /// The project that has the directory `start` in it; `None` if there is none.
    pub fn find(start: &Path) -> Result<Option<Project>> {
        for directory in start.ancestors() {
            let file = directory.join(FILE);
            // What cannot be looked at is nobody's project.
            let Ok(metadata) = file.metadata() else { continue };
            check_owner(&file, &metadata, start)?;
            let settings = settings(&file, &metadata)?;
            return Ok(Some(Project { directory: directory.to_owned(), settings }));
        }
        Ok(None)
    }

    /// The project that the working directory is in.
    pub fn here() -> Result<Option<Project>> {
        // Without a working directory there is no project.
        std::env::current_dir().map_or(Ok(None), |directory| Project::find(&directory))
    }

    /// The project in or above a directory, by default the working directory, for a command that takes one.
    pub fn required(directory: Option<&Path>) -> failed::Result<Project> {
        let shown = directory.unwrap_or(Path::new("."));
        let directory = match shown.canonicalize() {
            Ok(directory) => directory,
            Err(error) => {
                let near = did_you_mean(shown);
                return Err(Failed::usage(format!("`{}` cannot be read: {error}{near}", shown.display())));
            }
        };
        Project::find(&directory)?.ok_or_else(|| {
            let text = format!("there is no project here: no `{FILE}` in `{}` or above", directory.display());
            Failed::usage(text).hint("arawn new LANGUAGE NAME makes one; --path DIR says where one is")
        })
    }

    /// Where the project's catalog is, once something was built.
    pub fn runtimes(&self) -> PathBuf {
        self.directory.join("runtimes")
    }

    /// Whether the program is called in the project.
    pub fn is_here(&self) -> bool {
        Project::here().is_ok_and(|here| here.is_some_and(|here| here.directory == self.directory))
    }

    /// A command of the program that takes the project's directory, as one would type it here.
    pub fn command(&self, command: &str) -> String {
        if self.is_here() { command.to_owned() } else { format!("{command} --path {}", shell::path(&self.directory)) }
    }

    /// Whether a directory is the project's catalog.
    pub fn has_runtimes(&self, directory: &Path) -> bool {
        is_same_place(&self.runtimes(), directory)
    }

    /// The catalog that the environment names in place of the project's.
    pub fn other_runtimes(&self) -> Option<PathBuf> {
        let named = std::env::var_os(RUNTIMES).filter(|value| !value.is_empty()).map(PathBuf::from);
        named.filter(|directory| !self.has_runtimes(directory))
    }
}

/// Whether two paths lead to the same place.
pub fn is_same_place(one: &Path, other: &Path) -> bool {
    let [one, other] = [one, other].map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    one == other
}

/// Refuses a project that somebody else has put above the directory: in `/tmp`, for one, everybody can make files. The owner of
/// the directory itself, and root, may have made it.
#[cfg(unix)]
fn check_owner(file: &Path, metadata: &Metadata, start: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let of_start = start.metadata().map(|metadata| metadata.uid());
    if metadata.uid() == 0 || of_start.is_ok_and(|of_start| of_start == metadata.uid()) {
        return Ok(());
    }
    Err(invalid(file, "belongs to another user, so it is not used: name its runtimes with --runtimes DIR"))
}

#[cfg(not(unix))]
fn check_owner(_file: &Path, _metadata: &Metadata, _start: &Path) -> Result<()> {
    Ok(())
}

fn invalid(file: &Path, message: impl Into<String>) -> Error {
    Error::InvalidConfig { path: file.display().to_string(), message: message.into() }
}

fn settings(file: &Path, metadata: &Metadata) -> Result<Settings> {
    /// Nobody writes more by hand.
    const MOST_BYTES: u64 = 1 << 20;
    // Reading a FIFO would wait for a writer.
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return Err(invalid(file, "must be a regular file of at most 1 MiB"));
    }
    let text = fs::read_to_string(file).map_err(|error| invalid(file, format!("cannot be read: {error}")))?;
    read(&text).map_err(|(line, message)| {
        let line = line.map_or(String::new(), |line| format!(":{line}"));
        Error::InvalidConfig { path: format!("{}{line}", file.display()), message }
    })
}

/// The settings, or the line and what is wrong with it.
fn read(text: &str) -> Result<Settings, (Option<usize>, String)> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        (line, error.message().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_found_from_each_directory_in_it() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let (root, deep) = (place.path().join("greet"), place.path().join("greet/src/deep"));
        assert!(fs::create_dir_all(&deep).is_ok());
        assert!(Project::find(&deep).is_ok_and(|project| project.is_none()));
        assert!(fs::write(root.join(FILE), "name = \"greet\"\nlanguage = \"rust\"\n").is_ok());
        for directory in [&root, &deep] {
            let Ok(Some(project)) = Project::find(directory) else { panic!("{}", directory.display()) };
            assert_eq!((&*project.settings.name, project.settings.language), ("greet", Language::Rust));
            assert_eq!(project.runtimes(), root.join("runtimes"));
        }
        assert!(Project::find(place.path()).is_ok_and(|project| project.is_none()));
    }

    #[test]
    fn what_is_no_text_is_not_read() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::create_dir(place.path().join(FILE)).is_ok());
        let error = Project::find(place.path()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.ends_with("arawn.toml` must be a regular file of at most 1 MiB"), "{error}");
    }

    /// As root alone a file can be another user's.
    #[cfg(unix)]
    #[test]
    fn a_project_of_another_user_is_not_used() {
        use std::os::unix::fs::chown;
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let (file, inside) = (place.path().join(FILE), place.path().join("inside"));
        assert!(fs::create_dir(&inside).is_ok());
        assert!(fs::write(&file, "name = \"a\"\nlanguage = \"rust\"\n").is_ok());
        if chown(&file, Some(12345), None).is_err() {
            assert!(chown(&file, Some(0), None).is_err(), "not root");
            return;
        }
        let error = Project::find(&inside).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("belongs to another user"), "{error}");
        // Whoever works in that user's directory has gone there.
        assert!(chown(&inside, Some(12345), None).is_ok());
        assert!(Project::find(&inside).is_ok_and(|project| project.is_some()));
        assert!(chown(&file, Some(0), None).is_ok() && Project::find(&inside).is_ok());
    }

    #[test]
    fn a_file_that_is_not_right_is_told_with_its_line() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        for (text, line, what) in [
            ("name = \"a\"\nlanguage = \"rust\"\nnmae = 1\n", ":3", "`nmae`"),
            ("name = \"a\"\n", ":1", "`language`"),
            ("name = \"a\"\nlanguage = rust\n", ":2", "string"),
            ("name = \"a\"\nlanguage = \"rsut\"\n", ":2", "did you mean `rust`?"),
            ("name = \"a\"\nlanguage = \"go\"\nsnapshot = \"on\"\n", ":3", "`init`"),
        ] {
            assert!(fs::write(place.path().join(FILE), text).is_ok());
            let error = Project::find(place.path()).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(&format!("arawn.toml{line}`: ")) && error.contains(what), "{text:?}: {error}");
        }
    }
}
