//! `arawn new`: what it writes, and what it refuses to.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use support::Place;

const LANGUAGES: &[&str] = &["rust", "c", "go", "python", "javascript", "lua", "javascript-component"];

/// The files below a directory with their texts.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            found.insert(name, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}")));
        }
    }
    found
}

#[test]
fn a_project_has_its_name_its_language_and_how_to_go_on() {
    for language in LANGUAGES {
        let place = Place::new();
        let ended = place.run(&["new", language, "my.greeter"]);
        assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
        let build = match *language {
            "c" | "python" | "javascript-component" => "arawn build --install\n",
            _ => "arawn build\n",
        };
        for text in ["cd my.greeter\n", build, "arawn run my.greeter --context '{\"name\": \"Ada\"}'\n"] {
            assert!(ended.stdout.contains(text), "{ended:?}");
        }
        let files = files(&place.path().join("my.greeter"));
        let manifest = &files["arawn.toml"];
        for line in ["name = \"my.greeter\"\n".to_owned(), format!("language = \"{language}\"\n")] {
            assert!(manifest.contains(&line), "{manifest}");
        }
        assert!(files["README.md"].contains("arawn run my.greeter --context"), "{language}");
        assert!(files.contains_key("tests/ada.json") && files.contains_key("tests/ada.reply.json"), "{language}");
        assert!(files[".gitignore"].contains("/runtimes/\n"), "{language}");
        assert!(files.values().all(|text| !text.contains("{{name}}") && !text.contains("{{package}}")), "{language}");
    }
}

/// No checkout is needed: what the sources of runtimes take is in the project, byte for byte.
#[test]
fn a_project_brings_what_its_language_needs_of_libarawn() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes");
    for (language, from, to) in
        [("rust", "sdk/src", "arawn-sdk/src"), ("go", "sdk-go", "arawn-sdk"), ("c", "sdk-c", "src")]
    {
        let place = Place::new();
        assert_eq!(place.run(&["new", language, "greet"]).status, 0);
        let project = files(&place.path().join("greet").join(to));
        let sources = files(&checkout.join(from));
        assert!(!sources.is_empty());
        for (name, text) in sources {
            assert_eq!(project.get(&name), Some(&text), "{language}: {name}");
        }
    }
}

#[test]
fn a_project_may_be_made_elsewhere_and_in_an_empty_directory() {
    let place = Place::new();
    assert_eq!(place.run(&["new", "lua", "greet", "--path", "elsewhere"]).status, 0);
    fs::create_dir(place.path().join("empty")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(place.run(&["new", "lua", "greet", "--path", "empty"]).status, 0);
    assert_eq!(files(&place.path().join("elsewhere")), files(&place.path().join("empty")));
    assert!(!place.path().join("greet").exists());
    let mut command = place.command(&["new", "lua", "greet", "--path", "."]);
    fs::create_dir(place.path().join("here")).unwrap_or_else(|error| panic!("{error}"));
    let output = command.current_dir(place.path().join("here")).output().unwrap_or_else(|error| panic!("{error}"));
    let made = support::ended(output);
    assert!(
        made.status == 0 && !made.stdout.contains("cd ") && made.stdout.contains("Now:\n\n  arawn build\n"),
        "{made:?}"
    );
    assert_eq!(files(&place.path().join("here")), files(&place.path().join("empty")));
}

#[test]
fn the_way_into_a_project_can_be_pasted() {
    let place = Place::new();
    let here = place.path().display().to_string();
    for (path, cd) in [
        ("-x", "  cd ./-x\n"),
        ("it's", "  cd 'it'\\''s'\n"),
        (&format!("{here}/sub"), "  cd sub\n"),
        ("sub/../greet/", "  cd sub/../greet/\n"),
    ] {
        let made = place.run(&["new", "lua", "greet", &format!("--path={path}")]);
        assert!(made.status == 0 && made.stdout.contains(cd), "{path}: {made:?}");
    }
    let place = Place::new();
    let here = place.path().display().to_string();
    let made = place.run(&["new", "lua", "greet", "--path", &here]);
    assert!(made.status == 0 && !made.stdout.contains("cd "), "{made:?}");
}

#[test]
fn nothing_is_written_over() {
    let place = Place::new().with("taken", "mine");
    fs::create_dir(place.path().join("full")).unwrap_or_else(|error| panic!("{error}"));
    let place = place.with("full/.hidden", "mine too");
    place.run(&["new", "lua", "full"]).assert_failed(2, &["the directory `full` is there already, and is not empty"]);
    place.run(&["new", "lua", "taken"]).assert_failed(2, &["`taken` is there already, and is no directory", "--path"]);
    let found = files(place.path());
    let found: Vec<_> = found.iter().map(|(name, text)| (&**name, &**text)).collect();
    assert_eq!(found, [("full/.hidden", "mine too"), ("taken", "mine")]);
}

#[test]
fn a_typo_is_answered_with_what_was_meant() {
    let place = Place::new();
    for (arguments, texts) in [
        (&["pyhton", "greet"][..], ["invalid value 'pyhton'", "a similar value exists: 'python'"]),
        (&["cobol", "greet"], ["possible values: rust, c, go", "javascript-component"]),
        (&["rust"], ["were not provided", "<NAME>"]),
        (&["rust", "My Greeter"], ["`My Greeter` cannot be the name of a runtime", "such as `my-greeter`"]),
        (&["rust", "transform"], ["`transform` is a runtime that comes with libarawn", "`my-transform`"]),
        (&["rust", "greet", "--path", "no/such"], ["there is no directory `no`", "hint: mkdir -p no\n"]),
        (&["rust", "greet", "--path", "no $x/y"], ["there is no directory `no $x`", "hint: mkdir -p 'no $x'\n"]),
        (&["rust", "greet", "--path=-no/y"], ["there is no directory `-no`", "hint: mkdir -p ./-no\n"]),
    ] {
        place.run(&[&["new"], arguments].concat()).assert_failed(2, &texts);
    }
    assert_eq!(files(place.path()), BTreeMap::new());
}

/// The directory's own path is short enough for the system, and those of the files in it are not.
#[cfg(target_os = "linux")]
#[test]
fn a_failure_half_way_leaves_nothing_behind() {
    let place = Place::new();
    let path = "./".repeat(2_035) + "greet";
    place.run(&["new", "rust", "greet", "--path", &path]).assert_failed(5, &["cannot be written to", "too long"]);
    assert_eq!(files(place.path()), BTreeMap::new());
    assert!(!place.path().join("greet").exists());
    fs::create_dir(place.path().join("greet")).unwrap_or_else(|error| panic!("{error}"));
    place.run(&["new", "rust", "greet", "--path", &path]).assert_failed(5, &["cannot be written to"]);
    assert_eq!(fs::read_dir(place.path().join("greet")).map(|entries| entries.count()).ok(), Some(0));
}
