//! What compiles a project: the tool of its language, found or installed, and run.

mod c;
mod go;
mod install;
mod javascript;
mod packages;
mod python;
mod rust;
mod tool;

use crate::failed::{Failed, Result};
use crate::language::Language;
use crate::project::Project;
use std::fs;
use std::path::{Path, PathBuf};

/// Compiles a project. Returns the file of the module, the component or the script.
pub fn compile(project: &Project, may_install: bool) -> Result<PathBuf> {
    let compile = match project.settings.language {
        Language::Rust => rust::compile,
        Language::C => c::compile,
        Language::Go => go::compile,
        Language::Python => python::compile,
        Language::JavaScriptComponent => javascript::compile,
        Language::JavaScript | Language::Lua => script,
    };
    compile(project, may_install).map(|file| project.directory.join(file))
}

/// A script needs no compiler.
fn script(project: &Project, _may_install: bool) -> Result<PathBuf> {
    let name = project.settings.language.script().unwrap_or_default();
    require(project, name).map(|()| name.into())
}

/// A file without which the project cannot be built.
fn require(project: &Project, name: &str) -> Result<()> {
    if project.directory.join(name).is_file() {
        return Ok(());
    }
    let (directory, language) = (project.directory.display(), project.settings.language.name());
    Err(Failed::usage(format!("there is no file `{name}` in `{directory}`"))
        .hint(format!("`arawn new {language} NAME` makes a project that has one, for comparison")))
}

/// Where a module is compiled to, relative to the project, in a directory that is there.
fn output(project: &Project) -> Result<PathBuf> {
    let directory = project.directory.join("build");
    fs::create_dir_all(&directory)
        .map_err(|error| Failed::host(format!("the directory `{}` cannot be made: {error}", directory.display())))?;
    Ok(Path::new("build").join(format!("{}.wasm", project.settings.name)))
}
