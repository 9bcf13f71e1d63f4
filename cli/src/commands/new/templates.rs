//! The files of a new project: those below `templates`, and libarawn's packages for runtimes, which are in no registry.
//!
//! Two words are filled in: `{{name}}` is the runtime's name, and `{{package}}` one that Cargo takes.

use crate::language::Language;

/// A file of a project.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Relative to the project's directory.
    pub path: &'static str,
    text: &'static str,
}

impl File {
    pub fn text_for(&self, name: &str) -> String {
        self.text.replace("{{name}}", name).replace("{{package}}", &package(name))
    }
}

/// Files below a directory of the checkout, relative to `cli`, and below a directory of the project.
macro_rules! files {
    ($from:literal, $to:literal, $($path:literal),* $(,)?) => {
        &[$(File {
            path: concat!($to, $path),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $from, "/", $path)),
        }),*]
    };
}

const RUST: &[File] = files!(
    "templates/rust",
    "",
    ".gitignore",
    "Cargo.toml",
    "README.md",
    "arawn-sdk/Cargo.toml",
    "arawn.toml",
    "src/main.rs",
);
const RUST_SDK: &[File] = files!(
    "../runtimes/sdk",
    "arawn-sdk/",
    "src/arena.rs",
    "src/arena/tests.rs",
    "src/context.rs",
    "src/context/path.rs",
    "src/context/tests.rs",
    "src/host.rs",
    "src/lib.rs",
    "src/realloc.rs",
    "src/respond.rs",
    "src/respond/tests.rs",
    "src/runtime.rs",
    "src/stdio.rs",
    "src/stdio/host.rs",
    "src/stdio/wasi.rs",
    "src/words.rs",
    "src/words/tests.rs",
);
const C: &[File] = files!(
    "templates/c",
    "",
    ".gitignore",
    "Makefile",
    "README.md",
    "arawn.toml",
    "src/greet.c",
    "src/greet.h",
    "src/main.c",
    "tests/test_greet.c",
);
const C_SDK: &[File] = files!("../runtimes/sdk-c", "src/", "arawn_guest.h");
const C_JSON: &[File] = files!("../runtimes/guests/c", "src/", "json.h");
const GO: &[File] =
    files!("templates/go", "", ".gitignore", "README.md", "arawn.toml", "go.mod", "main.go", "main_test.go");
const GO_SDK: &[File] = files!(
    "../runtimes/sdk-go",
    "arawn-sdk/",
    "arawn.go",
    "arawn_test.go",
    "go.mod",
    "guest.go",
    "guest_other.go",
    "host.go",
    "json.go",
);
const PYTHON: &[File] = files!(
    "templates/python",
    "",
    ".gitignore",
    "README.md",
    "app.py",
    "arawn.toml",
    "greet.py",
    "runtime.wit",
    "test_greet.py",
);
const JAVASCRIPT: &[File] = files!(
    "templates/javascript",
    "",
    ".gitignore",
    "README.md",
    "arawn.toml",
    "package.json",
    "runtime.js",
    "runtime.test.js",
);
const LUA: &[File] =
    files!("templates/lua", "", ".gitignore", "README.md", "arawn.toml", "runtime.lua", "runtime_test.lua");
const JAVASCRIPT_COMPONENT: &[File] = files!(
    "templates/javascript-component",
    "",
    ".gitignore",
    "README.md",
    "arawn.toml",
    "greet.js",
    "greet.test.js",
    "package.json",
    "runtime.js",
    "runtime.wit",
);
/// Samples: what each of the runtimes gets, and what it must answer.
const SHARED: &[File] = files!(
    "templates/shared",
    "",
    "tests/ada.json",
    "tests/ada.reply.json",
    "tests/german.json",
    "tests/german.reply.json",
    "tests/nobody.json",
    "tests/nobody.reply.json",
);

/// The files of a project in a language.
pub fn files(language: Language) -> impl Iterator<Item = &'static File> {
    let own: &[&[File]] = match language {
        Language::Rust => &[RUST, RUST_SDK],
        Language::C => &[C, C_SDK, C_JSON],
        Language::Go => &[GO, GO_SDK],
        Language::Python => &[PYTHON],
        Language::JavaScript => &[JAVASCRIPT],
        Language::Lua => &[LUA],
        Language::JavaScriptComponent => &[JAVASCRIPT_COMPONENT],
    };
    own.iter().copied().flatten().chain(SHARED)
}

/// The name where Cargo takes it for a package, and else one that is like it.
fn package(name: &str) -> String {
    let is_fine = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains('.');
    if is_fine && !TAKEN.contains(&name) { name.to_owned() } else { format!("runtime-{}", name.replace('.', "-")) }
}

/// What Cargo or rustc keep for themselves, and the package that a project depends on.
const TAKEN: &[&str] = &["arawn-sdk", "build", "deps", "examples", "incremental"];

#[cfg(test)]
#[path = "templates/tests.rs"]
mod tests;
