//! `arawn cache`: what it shows, fills and removes, and what it leaves alone.

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::{Place, SILENT, TRAPPING};

fn place() -> Place {
    Place::new().with_runtimes(&[("trapping", TRAPPING), ("silent", SILENT)])
}

/// A command with a catalog and a cache of its own.
fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--cache", "kept"]].concat()
}

fn warmed(place: &Place) {
    let warmed = place.output(&with(&["cache", "warm", "trapping", "silent", "--runtimes", "runtimes", "--json"]));
    let runtimes = warmed["output"]["runtimes"].as_array().cloned().unwrap_or_default();
    let kinds: Vec<_> = runtimes.iter().map(|runtime| (&runtime["name"], &runtime["cache"])).collect();
    assert_eq!(kinds, [(&json!("trapping"), &json!("compiled")), (&json!("silent"), &json!("compiled"))]);
}

fn artifacts(place: &Place) -> Vec<Value> {
    let listed = place.output(&with(&["cache", "list", "--runtimes", "runtimes", "--json"]));
    listed["output"]["artifacts"].as_array().cloned().unwrap_or_default()
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = |path: PathBuf| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

/// The subdirectory of the artifacts of this version.
fn own(place: &Place) -> PathBuf {
    let entries = fs::read_dir(place.path().join("kept")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap_or_else(|| panic!("no artifacts"))
}

#[test]
fn a_warm_cache_spares_the_first_call_the_compiler() {
    let place = place();
    warmed(&place);
    let meta = place.run(&with(&["run", "silent", "--runtimes", "runtimes", "--json"])).json();
    assert_eq!(meta["code"], "malformed_output", "{meta}");
    let again = place.run(&with(&["cache", "warm", "silent", "--runtimes", "runtimes"]));
    assert!(again.status == 0 && again.stdout.contains("silent   was there"), "{again:?}");
    assert_eq!(again.stderr, "", "no bar without a terminal");
    let found = artifacts(&place);
    let names: Vec<_> = found.iter().map(|artifact| &artifact["runtimes"]).collect();
    assert!(names.contains(&&json!(["trapping"])) && names.contains(&&json!(["silent"])), "{found:?}");
    assert!(found.iter().all(|artifact| artifact["bytes"].as_u64() > Some(1000)), "{found:?}");
    let table = place.run(&with(&["cache", "list", "--runtimes", "runtimes"]));
    assert!(table.stdout.starts_with("RUNTIME ") && table.stdout.contains("trapping"), "{table:?}");
    assert!(table.stderr.contains("note: 2 artifacts, "), "{table:?}");
}

/// Neither an empty list nor an empty cache is told where the system refused to look.
#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_looked_at_is_not_called_empty() {
    let place = place();
    warmed(&place);
    let all = artifacts(&place).len();
    let (mut refused, mut listed) = (0, 0);
    for most in 3..20 {
        let limited = |command: &str| {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_arawn")]);
            let output = shell.args(["cache", command, "--cache", "kept", "--json"]).current_dir(place.path()).output();
            output.unwrap_or_else(|error| panic!("{error}"))
        };
        let list = limited("list");
        match serde_json::from_slice::<Value>(&list.stdout) {
            Ok(reply) if list.status.success() => {
                listed += 1;
                assert_eq!(reply["output"]["artifacts"].as_array().map(Vec::len), Some(all), "{most}: {reply}");
            }
            _ => refused += 1,
        }
        let cleared = limited("clear");
        match cleared.status.success() {
            true => {
                assert_eq!(artifacts(&place).len(), 0, "{most}: {cleared:?}");
                warmed(&place);
            }
            false => assert_eq!(artifacts(&place).len(), all, "{most}: {cleared:?}"),
        }
    }
    assert!(refused > 0 && listed > 0, "{refused} {listed}");
}

#[test]
fn a_runtime_that_cannot_run_does_not_keep_the_others_from_being_compiled() {
    let place = place();
    fs::write(place.path().join("runtimes/custom/silent.wasm"), "no wasm").unwrap_or_else(|error| panic!("{error}"));
    let ended = place.run(&with(&["cache", "warm", "silent", "trapping", "--runtimes", "runtimes"]));
    assert_eq!(ended.status, 5, "{ended:?}");
    assert!(ended.stdout.contains("silent    failed") && ended.stdout.contains("trapping  compiled"), "{ended:?}");
    assert!(ended.stderr.contains("error: silent: the module of runtime `silent` cannot run"), "{ended:?}");
    let typo = place.run(&with(&["cache", "warm", "trapping", "slient", "--runtimes", "runtimes"]));
    typo.assert_failed(5, &["there is no runtime `slient`", "similar names: silent"]);
}

/// What cannot be written holds nothing, although each runtime was compiled.
#[test]
fn code_that_was_not_kept_is_a_failure() {
    let place = place().with("file", "");
    let warm = ["cache", "warm", "transform", "--cache", "file"];
    let ended = place.run(&warm);
    assert!(ended.status == 5 && ended.stdout.contains("transform  not kept"), "{ended:?}");
    for text in ["error: transform: the cache file cannot be written: it is `file`, which is no", "hint: --cache DIR "]
    {
        assert!(ended.stderr.contains(text), "{ended:?}");
    }
    assert_eq!(ended.stderr.matches("warning: the cache ").count(), 1, "{ended:?}");
    let ended = place.run(&[&warm[..], &["--json"]].concat());
    assert_eq!((ended.status, &ended.json()["output"]["runtimes"][0]["code"]), (5, &json!("catalog_unwritable")));
}

/// To find out whether a script parses its interpreter has to be loaded, which is the load that is told.
#[test]
fn a_script_is_told_with_where_the_code_of_its_interpreter_came_from() {
    let place = Place::new().with("greet.lua", "return function() return 1 end").with_runtimes(&[]);
    let register = ["register", "greet", "greet.lua", "--runtimes", "runtimes", "--cache", "elsewhere"];
    assert_eq!(place.run(&register).status, 0);
    let warm = with(&["cache", "warm", "greet", "--runtimes", "runtimes"]);
    let table = place.run(&warm).stdout;
    assert!(table.contains("greet    compiled"), "{table}");
    let warmed = place.output(&[&warm[..], &["--json"]].concat());
    assert_eq!(warmed["output"]["runtimes"][0]["cache"], "disk", "{warmed}");
    let run = || place.output(&with(&["run", "greet", "--runtimes", "runtimes", "--json"]))["meta"]["cache"].clone();
    assert_eq!(run(), "disk");
    place.output(&with(&["cache", "clear", "--json"]));
    assert_eq!((run(), run()), (json!("compiled"), json!("disk")));
}

/// The process ends, and its compilation with it: nothing says that it goes on.
#[test]
fn a_compilation_that_takes_too_long_is_told_with_what_helps() {
    let place = Place::new().with("greet.js", "export default () => 1").with_runtimes(&[]);
    let steps = r#"{"steps": [{"name": "a", "runtime": "javascript"}]}"#;
    let place = place.with("p.json", steps);
    let passed = "passed before the module was compiled\n";
    let warms = "hint: `arawn cache warm javascript` compiles it; --limit timeout_ms=NUMBER raises it";
    let raises = "hint: --limit timeout_ms=NUMBER raises it";
    let limit = ["--limit", "timeout_ms=5"];
    for (arguments, hint) in
        [(&["run", "javascript"][..], warms), (&["pipeline", "p.json", "-q"], warms), (&["run", "./greet.js"], raises)]
    {
        place.run(&with(&[arguments, &limit].concat())).assert_failed(4, &[passed, hint]);
    }
    let register = ["register", "greet", "greet.js", "--runtimes", "runtimes", "--timeout-ms", "5"];
    place.run(&with(&register)).assert_failed(4, &[passed, "hint: --timeout-ms NUMBER "]);
    let warmed = place.run(&with(&["cache", "warm", "javascript", limit[0], limit[1]]));
    assert!(warmed.status == 4 && warmed.stderr.contains(passed) && warmed.stderr.contains(raises), "{warmed:?}");
    let reply = place.run(&with(&["run", "javascript", "--json", limit[0], limit[1]])).json();
    assert!(reply["error"].as_str().is_some_and(|text| text.ends_with(passed.trim_end())), "{reply}");
}

#[test]
fn clear_removes_what_the_library_wrote_and_nothing_else() {
    let place = place();
    warmed(&place);
    let (kept, own) = (place.path().join("kept"), own(&place));
    let sum = "0".repeat(64);
    // Things of a person, one with the name of an artifact: a directory. And links out of the cache.
    fs::write(kept.join("notes.txt"), "mine").unwrap_or_else(|error| panic!("{error}"));
    fs::write(own.join("notes.txt"), "mine").unwrap_or_else(|error| panic!("{error}"));
    fs::create_dir(own.join(format!("{sum}.cwasm"))).unwrap_or_else(|error| panic!("{error}"));
    let outside = place.path().join("outside");
    let other = outside.join(&sum[..32]);
    fs::create_dir_all(&other).unwrap_or_else(|error| panic!("{error}"));
    fs::write(other.join(format!("{sum}.cwasm")), "theirs").unwrap_or_else(|error| panic!("{error}"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap_or_else(|error| panic!("{error}"));
        symlink(&other, kept.join(&sum[..32])).unwrap_or_else(|error| panic!("{error}"));
        symlink(other.join(format!("{sum}.cwasm")), own.join(format!("{sum}.gc.cwasm")))
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let cleared = place.output(&with(&["cache", "clear", "--json"]));
    assert_eq!(cleared["output"]["artifacts"], 2, "{cleared}");
    assert!(cleared["output"]["bytes"].as_u64() > Some(10_000), "{cleared}");
    assert_eq!(fs::read_to_string(other.join(format!("{sum}.cwasm"))).ok().as_deref(), Some("theirs"));
    let mut left: Vec<String> = files(&kept).iter().map(|path| path.display().to_string()).collect();
    left.retain(|path| !path.ends_with("notes.txt"));
    assert!(left.iter().all(|path| Path::new(path).is_symlink()), "{left:?}");
    assert!(own.join(format!("{sum}.cwasm")).is_dir());
    let again = place.run(&with(&["cache", "clear"]));
    assert_eq!((again.status, &*again.stdout), (0, "the cache was empty\n"));
    // The next run fills it again.
    warmed(&place);
}

#[test]
fn an_empty_cache_is_left_without_anything_and_says_what_to_do() {
    let place = place();
    warmed(&place);
    let cleared = place.run(&with(&["cache", "clear"]));
    assert!(cleared.status == 0 && cleared.stdout.starts_with("removed 2 artifacts, "), "{cleared:?}");
    assert!(files(&place.path().join("kept")).is_empty());
    let listed = place.run(&with(&["cache", "list"]));
    assert_eq!((listed.status, &*listed.stdout), (0, ""));
    assert!(listed.stderr.contains("`arawn cache warm` compiles"), "{listed:?}");
}

#[test]
fn what_is_no_cache_is_left_alone() {
    let place = place().with("precious.txt", "mine").with("file", "");
    let here = place.path().display().to_string();
    for command in ["clear", "list"] {
        let refused = place.run(&["cache", command, "--cache", &here]);
        refused.assert_failed(2, &["which is no cache: nothing in it is compiled code", "hint: --cache DIR"]);
        place.run(&["cache", command, "--cache", "file"]).assert_failed(2, &["is `file`, which is no directory"]);
        place
            .run(&["cache", command, "--cache", "runtime"])
            .assert_failed(2, &["does not exist; did you mean `runtimes`?"]);
    }
    assert!(!place.path().join("runtime").exists());
    assert_eq!(place.read("precious.txt"), "mine");
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_write_is_refused_with_the_reason() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    warmed(&place);
    fs::set_permissions(own(&place), fs::Permissions::from_mode(0o755)).unwrap_or_else(|error| panic!("{error}"));
    place.run(&with(&["cache", "clear"])).assert_failed(2, &["the cache directory is open to others"]);
    assert!(files(&place.path().join("kept")).len() >= 4);
}

#[cfg(unix)]
#[test]
fn a_link_that_the_person_names_is_followed() {
    let place = place();
    warmed(&place);
    std::os::unix::fs::symlink("kept", place.path().join("link")).unwrap_or_else(|error| panic!("{error}"));
    let cleared = place.run(&["cache", "clear", "--cache", "link", "--json"]).output();
    assert_eq!(cleared["output"]["artifacts"], 2);
    assert!(place.path().join("link").is_symlink());
}

/// Each of the others only ever meets a miss.
#[test]
fn runs_go_on_while_the_cache_is_cleared() {
    let place = place();
    warmed(&place);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let run = || place.run(&with(&["run", "trapping", "--runtimes", "runtimes", "-q"]));
                    (0..5).map(|_| run().status).collect::<Vec<_>>()
                })
            })
            .collect();
        for _ in 0..10 {
            let cleared = place.run(&with(&["cache", "clear"]));
            assert!(cleared.status == 0, "{cleared:?}");
        }
        for run in runs {
            assert_eq!(run.join().unwrap_or_default(), [3; 5]);
        }
    });
}
