use super::*;
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The files below a directory of the checkout, in the order of their names.
fn below(directory: &str) -> BTreeSet<String> {
    fn walk(root: &Path, directory: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let path = path.strip_prefix(root).unwrap_or(&path);
                found.insert(path.display().to_string());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut found = BTreeSet::new();
    walk(&root, &root, &mut found);
    found
}

#[test]
fn each_file_of_a_template_and_of_a_package_is_in_its_projects() {
    let lists: &[(&[File], &str, &str)] = &[
        (RUST, "templates/rust", ""),
        (RUST_SDK, "../runtimes/sdk", "arawn-sdk/"),
        (C, "templates/c", ""),
        (C_SDK, "../runtimes/sdk-c", "src/"),
        (GO, "templates/go", ""),
        (GO_SDK, "../runtimes/sdk-go", "arawn-sdk/"),
        (PYTHON, "templates/python", ""),
        (JAVASCRIPT, "templates/javascript", ""),
        (LUA, "templates/lua", ""),
        (JAVASCRIPT_COMPONENT, "templates/javascript-component", ""),
        (SHARED, "templates/shared", ""),
    ];
    for (files, directory, to) in lists {
        let listed: BTreeSet<String> =
            files.iter().filter_map(|file| file.path.strip_prefix(to)).map(str::to_owned).collect();
        let mut there = below(directory);
        // A project's has the keys that ours takes from its workspace.
        if *directory == "../runtimes/sdk" {
            there.remove("Cargo.toml");
        }
        assert_eq!(listed, there, "{directory}");
    }
    let templates: BTreeSet<String> =
        below("templates").iter().filter_map(|path| path.split('/').next()).map(str::to_owned).collect();
    let languages = Language::value_variants().iter().map(|language| language.name());
    assert_eq!(templates, languages.chain(["shared".to_owned()]).collect());
}

#[test]
fn a_project_has_what_its_language_takes() {
    for language in Language::value_variants() {
        let paths: Vec<&str> = files(*language).map(|file| file.path).collect();
        assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), paths.len(), "{paths:?}");
        for path in [".gitignore", "README.md", "arawn.toml", "tests/ada.json"] {
            assert!(paths.contains(&path), "{language}: {path}");
        }
        assert!(language.script().is_none_or(|script| paths.contains(&script)), "{paths:?}");
        for file in files(*language) {
            let text = file.text_for("some-name");
            assert!(!text.contains("{{name}}") && !text.contains("{{package}}"), "{}", file.path);
        }
    }
}

/// The package for Rust is ours, but for the keys that ours takes from its workspace.
#[test]
fn the_manifest_of_the_package_for_rust_is_ours() {
    let read = |path: &str| -> toml::Table {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (mut ours, theirs) = (read("../runtimes/sdk/Cargo.toml"), read("templates/rust/arawn-sdk/Cargo.toml"));
    let workspace = read("../runtimes/Cargo.toml");
    for (table, from) in [("package", "package"), ("dependencies", "dependencies")] {
        let keys = ours.get_mut(table).and_then(toml::Value::as_table_mut).unwrap_or_else(|| panic!("no {table}"));
        for (key, value) in keys {
            if value.get("workspace").is_some() {
                *value = workspace["workspace"][from][&**key].clone();
            }
        }
    }
    ours.remove("lints");
    assert_eq!(ours, theirs);
}

#[test]
fn a_package_has_a_name_that_cargo_takes() {
    for (name, package_name) in [
        ("greet", "greet"),
        ("my_runtime-2", "my_runtime-2"),
        ("3d", "runtime-3d"),
        ("a.b", "runtime-a-b"),
        ("build", "runtime-build"),
    ] {
        assert_eq!(package(name), package_name);
    }
}
