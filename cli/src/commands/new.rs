//! `arawn new`: writes a project, a directory from which `arawn build` makes a runtime.

mod arguments;
mod templates;

pub use arguments::NewArguments;

use crate::exit::Exit;
use crate::failed::{Failed, Result};
use crate::language::Language;
use crate::near::did_you_mean;
use crate::{names, process, report, shell};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub fn run(arguments: &NewArguments) -> Exit {
    match write(arguments) {
        Ok(directory) => report::text(&next_steps(arguments, &directory)),
        Err(failed) => failed.report(),
    }
}

fn write(arguments: &NewArguments) -> Result<PathBuf> {
    let NewArguments { language, name, path } = arguments;
    process::for_one_call()?;
    names::check(name)?;
    let directory = path.clone().unwrap_or_else(|| PathBuf::from(name));
    let place = Place::take(&directory)?;
    place.fill(*language, name).map_err(|error| {
        Failed::host(format!("the project cannot be written to `{}`: {error}", directory.display()))
    })?;
    Ok(directory)
}

/// The project's directory, which was missing or empty.
struct Place<'a> {
    directory: &'a Path,
    was_there: bool,
}

impl<'a> Place<'a> {
    /// Nothing that is there is touched.
    fn take(directory: &'a Path) -> Result<Self> {
        let shown = directory.display();
        let error = match fs::create_dir(directory) {
            Ok(()) => return Ok(Place { directory, was_there: false }),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::AlreadyExists if !directory.is_dir() => {
                Err(Failed::usage(format!("`{shown}` is there already, and is no directory"))
                    .hint("choose another name, or another place with --path DIR"))
            }
            ErrorKind::AlreadyExists => match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
                Ok(true) => Ok(Place { directory, was_there: true }),
                Ok(false) => Err(Failed::usage(format!("the directory `{shown}` is there already, and is not empty"))
                    .hint("choose another name, or another place with --path DIR")),
                Err(error) => Err(Failed::host(format!("`{shown}` cannot be read: {error}"))),
            },
            // A typo should not become a new tree of directories.
            ErrorKind::NotFound => {
                let parent = directory.parent().unwrap_or(directory);
                let near = did_you_mean(parent);
                Err(Failed::usage(format!("there is no directory `{}`{near}", parent.display()))
                    .hint(format!("mkdir -p {}", shell::path(parent))))
            }
            _ => Err(Failed::host(format!("the directory `{shown}` cannot be made: {error}"))),
        }
    }

    /// Writes all files, or leaves the place as it was.
    fn fill(&self, language: Language, name: &str) -> io::Result<()> {
        let written = templates::files(language).try_for_each(|file| {
            let path = self.directory.join(file.path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, file.text_for(name))
        });
        written.inspect_err(|_| self.clear())
    }

    fn clear(&self) {
        if !self.was_there {
            let _ = fs::remove_dir_all(self.directory);
            return;
        }
        for entry in fs::read_dir(self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

fn next_steps(arguments: &NewArguments, directory: &Path) -> String {
    let NewArguments { language, name, .. } = arguments;
    let cd = match shell::is_here(directory) {
        true => String::new(),
        false => format!("  cd {}\n", shell::path(directory)),
    };
    let directory = directory.display();
    // What few have already, `arawn build` gets.
    let install = match language {
        Language::C | Language::Python | Language::JavaScriptComponent => " --install",
        _ => "",
    };
    let kind = if language.script().is_some() { "a script" } else { "a runtime" };
    format!(
        "Made `{directory}`: {kind} in {language} that greets a person. README.md in it says more. Now:\n\n\
         {cd}  arawn build{install}\n  arawn run {name} --context '{{\"name\": \"Ada\"}}'\n  arawn test\n"
    )
}
