//! C: `zig cc`, which is clang with a C library for WASI, or a compiler that `ARAWN_CC` names.

use super::output;
use super::packages::{ZIGLANG, python};
use super::tool::{Tool, run};
use crate::failed::{Failed, Result};
use crate::project::Project;
use std::path::PathBuf;
use std::{env, fs};

pub fn compile(project: &Project, may_install: bool) -> Result<PathBuf> {
    let sources = sources(project)?;
    let output = output(project)?;
    let mut command = compiler(project, may_install)?.command(&project.directory);
    command.args(["-std=c11", "-Wall", "-Wextra", "-Os", "-s", "-Wl,-z,stack-size=65536"]);
    if project.settings.is_reactor() {
        command.arg("-mexec-model=reactor");
    }
    command.args(env::var("CFLAGS").unwrap_or_default().split_whitespace());
    command.arg("-o").arg(&output).args(sources);
    run(command, "compiling, with the C library the first time")?;
    Ok(output)
}

/// The files `src/*.c`, relative to the project.
fn sources(project: &Project) -> Result<Vec<PathBuf>> {
    let directory = project.directory.join("src");
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    // As a shell reads `*.c`: an editor's hidden files are no sources.
    let is_source = |name: &PathBuf| {
        let is_hidden = name.to_string_lossy().starts_with('.');
        !is_hidden && name.extension().is_some_and(|extension| extension == "c") && directory.join(name).is_file()
    };
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.file_name().into()).filter(is_source).collect();
    if names.is_empty() {
        return Err(Failed::usage(format!("there are no files `*.c` in `{}`", directory.display()))
            .hint("`arawn new c NAME` makes a project that has some, for comparison"));
    }
    names.sort();
    Ok(names.into_iter().map(|name| PathBuf::from("src").join(name)).collect())
}

fn compiler(project: &Project, may_install: bool) -> Result<Tool> {
    if let Some(compiler) = Tool::of_variable("ARAWN_CC") {
        return Ok(compiler);
    }
    let installed = ZIGLANG.found().map(|directory| Tool::new(directory.join(ZIGLANG.file)));
    let candidates = [Some(Tool::named("ZIG", "zig")), Some(python().arg("-m").arg("ziglang")), installed];
    let zig = candidates.into_iter().flatten().find(|zig| zig.is_there(&project.directory, &["version"]));
    let zig = match zig {
        Some(zig) => zig,
        None if may_install => Tool::new(ZIGLANG.install()?.join(ZIGLANG.file)),
        None => {
            return Err(Failed::host("a compiler from C to WebAssembly is missing: there is no `zig` that runs").hint(
                format!(
                    "python3 -m pip install ziglang=={}, or let arawn do it: {}\n\
                     or https://ziglang.org/download\n\
                     or name another one: ARAWN_CC=\"/opt/wasi-sdk/bin/clang --target=wasm32-wasip1\" {}",
                    ZIGLANG.version,
                    project.command("arawn build --install"),
                    project.command("arawn build")
                ),
            ));
        }
    };
    Ok(zig.arg("cc").arg("-target").arg("wasm32-wasi"))
}
