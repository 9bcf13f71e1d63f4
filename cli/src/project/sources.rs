//! The files that a runtime is built from, as far as they can be told from others by their names.

use super::{FILE, Project};
use crate::language::Language;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Directories whose files go into no runtime, beside those whose names begin with `.`.
const OTHERS: &[&str] = &["runtimes", "tests", "build", "target", "node_modules", "venv", "__pycache__"];
/// Of a larger project only a part is looked at.
const MOST: usize = 10_000;

impl Project {
    /// The sources that were changed after a time, by their paths in the project. A script is none: what is in it says more
    /// than its time.
    pub fn changed_since(&self, time: SystemTime) -> Vec<PathBuf> {
        let mut left = MOST;
        let mut changed = Vec::new();
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            let entries = fs::read_dir(self.directory.join(&directory)).into_iter().flatten().flatten();
            for entry in entries.take(left) {
                left -= 1;
                let (name, Ok(metadata)) = (entry.file_name(), entry.metadata()) else { continue };
                let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
                if metadata.is_dir() && !OTHERS.contains(&name) {
                    directories.push(directory.join(name));
                }
                let is_changed = metadata.modified().is_ok_and(|modified| modified > time);
                if metadata.is_file() && is_changed && is_source(self.settings.language, name) {
                    changed.push(directory.join(name));
                }
            }
        }
        changed.sort();
        changed
    }
}

fn is_source(language: Language, name: &str) -> bool {
    let (endings, names): (&[&str], &[&str]) = match language {
        Language::Rust => (&["rs"], &["Cargo.toml"]),
        Language::C => (&["c", "h"], &[]),
        Language::Go => (&["go"], &["go.mod"]),
        Language::Python => (&["py", "wit"], &[]),
        Language::JavaScriptComponent => (&["js", "mjs", "wit"], &[]),
        Language::JavaScript | Language::Lua => (&[], &[]),
    };
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let is_test = stem.starts_with("test_") || stem.ends_with("_test") || stem.ends_with(".test");
    name == FILE || names.contains(&name) || endings.contains(&ending) && !is_test
}

/// When a file was written.
pub fn written(file: &Path) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Settings;
    use std::fs::File;
    use std::time::Duration;

    #[test]
    fn sources_are_told_from_other_files() {
        for (language, sources, others) in [
            (Language::Rust, &["main.rs", "Cargo.toml", FILE][..], &["Cargo.lock", "README.md"][..]),
            (Language::C, &["main.c", "json.h"], &["Makefile", "test_greet.c"]),
            (Language::Go, &["main.go", "go.mod"], &["main_test.go", "go.sum"]),
            (Language::Python, &["app.py", "runtime.wit"], &["test_greet.py", "a.pyc"]),
            (Language::JavaScriptComponent, &["runtime.js", "a.mjs"], &["greet.test.js", "package.json"]),
            (Language::Lua, &[FILE], &["runtime.lua"]),
        ] {
            assert!(sources.iter().all(|name| is_source(language, name)), "{language:?}");
            assert!(!others.iter().any(|name| is_source(language, name)), "{language:?}");
        }
    }

    #[test]
    fn what_was_changed_later_is_found_in_each_directory_of_sources() {
        let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let built = SystemTime::now();
        for (name, seconds) in [
            ("src/a.c", 1),
            ("src/deep/b.h", 1),
            ("src/c.c", 0),
            (".git/d.c", 1),
            ("build/e.c", 1),
            ("tests/f.c", 1),
            ("arawn.toml", 1),
            ("README.md", 1),
        ] {
            let path = place.path().join(name);
            assert!(path.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok()));
            let modified = File::create(&path).and_then(|file| file.set_modified(built + Duration::from_secs(seconds)));
            assert!(modified.is_ok() && written(&path) == Some(built + Duration::from_secs(seconds)));
        }
        let settings: Settings =
            toml::from_str("name = \"greet\"\nlanguage = \"c\"\n").unwrap_or_else(|error| panic!("{error}"));
        let project = Project { directory: place.path().to_owned(), settings };
        let changed = project.changed_since(built);
        assert_eq!(changed, ["arawn.toml", "src/a.c", "src/deep/b.h"].map(PathBuf::from));
    }
}
