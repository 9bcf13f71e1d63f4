//! Which directories a cache is kept in, whose they are, and what of them it leaves alone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{assert_error, compile_c, in_new_process, in_new_process_under, library_path, new_process_under, run};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A short-lived host: configure, open, run, close, and its figures.
fn host(executor: Value, disk_cache_bytes: u64) -> [(&'static str, Value); 5] {
    [
        ("arawn_configure", json!({"disk_cache_bytes": disk_cache_bytes})),
        ("arawn_executor_new", executor),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "passthrough", "meta": true})),
        ("arawn_executor_close", json!({"executor": "a"})),
        ("arawn_stats", json!({})),
    ]
}

#[test]
fn eviction_leaves_links_and_what_belongs_to_others_alone() {
    let place = tempfile::tempdir().unwrap();
    let [cache, elsewhere] = ["cache", "elsewhere"].map(|name| place.path().join(name));
    let name = |n: u8| format!("{n:032x}");
    let artifact = |directory: &Path| {
        fs::create_dir_all(directory).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
        let file = directory.join("a.cwasm");
        fs::write(&file, vec![0; 100_000]).unwrap();
        file
    };
    let linked = artifact(&elsewhere);
    let own = artifact(&cache.join(name(1)));
    symlink(&elsewhere, cache.join(name(2))).unwrap();
    let open = artifact(&cache.join(name(3)));
    fs::set_permissions(cache.join(name(3)), fs::Permissions::from_mode(0o755)).unwrap();
    // Directories with names that no cache gives.
    let unnamed = ["others", &"z".repeat(32), &format!("{}0", name(5))].map(|name| artifact(&cache.join(name)));
    // A link in a directory of ours, beside what is evicted.
    symlink(&linked, cache.join(name(1)).join("b.cwasm")).unwrap();
    let others = is_root().then(|| {
        let others = artifact(&cache.join(name(4)));
        chown(cache.join(name(4)), Some(NOBODY), None).unwrap();
        others
    });
    let replies = in_new_process(&host(json!({"id": "a", "cache_dir": cache}), 1));
    assert_eq!(replies[2]["meta"]["cache"], "compiled", "{}", replies[2]);
    assert!(!own.exists(), "more than one byte is kept");
    assert!(linked.exists(), "it followed a link out of the cache");
    assert!(open.exists(), "others may write to its directory");
    assert!(others.is_none_or(|others| others.exists()), "it is another user's");
    assert!(unnamed.iter().all(|file| file.exists()), "the cache has not made it");
    assert!(cache.join(name(1)).join("b.cwasm").is_symlink());
}

#[test]
fn root_keeps_no_code_in_another_users_directories() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let [bobs, own] = ["bobs", "own"].map(|name| place.path().join(name));
    for directory in [&bobs, &own] {
        fs::create_dir_all(directory.join("cache")).unwrap();
    }
    symlink(own.join("cache"), bobs.join("link")).unwrap();
    symlink(bobs.join("link"), own.join("link")).unwrap();
    chown(&bobs, Some(NOBODY), None).unwrap();
    let platform = |home: &Path| {
        let home = format!("XDG_CACHE_HOME={}", home.display());
        in_new_process_under(&["env", &home], &host(json!({"id": "a"}), 1 << 30))
    };
    for home in [bobs.join("cache"), bobs.join("link"), bobs.clone(), own.join("link")] {
        let replies = platform(&home);
        assert_eq!(replies[1]["output"]["cache_dir"], json!(null), "{}: {}", home.display(), replies[1]);
        assert_eq!(replies[2]["meta"]["cache"], "compiled");
        let last = &replies[4]["output"]["warnings"]["last"];
        assert!(last.to_string().contains("can be changed by users other than root"), "{}", replies[4]);
        assert!(!home.join("arawn").exists(), "{}", home.display());
    }
    let replies = platform(&own.join("cache"));
    assert_eq!(replies[1]["output"]["cache_dir"], json!(own.join("cache/arawn")));
    // A `cache_dir` that is named: only that directory's own owner counts.
    chown(own.join("cache"), Some(NOBODY), None).unwrap();
    let replies = in_new_process(&host(json!({"id": "a", "cache_dir": own.join("cache")}), 1 << 30));
    assert_eq!(replies[2]["meta"]["cache"], "compiled");
    assert_eq!(replies[4]["output"]["disk_cache"]["write_errors"], 1, "{}", replies[4]);
    assert_eq!(fs::read_dir(own.join("cache")).unwrap().count(), 1, "what was there before");
}

/// A program that is setuid runs in the environment of a caller that it need not trust.
#[test]
fn the_environment_of_a_setuid_programs_caller_chooses_no_cache() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let [home, program] = ["home", "program"].map(|name| place.path().join(name));
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), None).unwrap();
    // The loader does not heed LD_LIBRARY_PATH there.
    let rpath = format!("-Wl,-rpath,{}", library_path().display());
    fs::copy(compile_c("tests/c/driver.c", "setuid-driver", &[&rpath]), &program).unwrap();
    chown(&program, Some(NOBODY), None).unwrap();
    let replies = |mode: u32| -> Vec<Value> {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let mut child = Command::new("setpriv");
        // Without the setuid bit the program is the same user's by other means.
        child.args(if mode == 0o755 { vec![format!("--reuid={NOBODY}")] } else { vec![] });
        child.args(["--clear-groups".as_ref(), program.as_os_str()]);
        child.env("XDG_CACHE_HOME", &home).env("HOME", &home).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let lines = host(json!({"id": "a"}), 1 << 30).map(|(function, argument)| format!("{function} {argument}\n"));
        child.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", output.status);
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let secure = replies(0o4755);
    assert_eq!(secure[1]["output"]["cache_dir"], json!(null), "{}", secure[1]);
    assert_eq!(secure[2]["meta"]["cache"], "compiled");
    assert!(secure[4]["output"]["warnings"]["last"].to_string().contains("more rights than its caller"));
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    let plain = replies(0o755);
    assert_eq!(plain[1]["output"]["cache_dir"], json!(home.join("arawn")), "{}", plain[1]);
}

/// As in a container that runs as a user whom its system does not know.
#[test]
fn a_user_without_a_home_is_told_to_set_a_cache_directory() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let relative = ["env", "-u", "XDG_CACHE_HOME", "HOME=home"];
    let nobody = ["setpriv", "--reuid=54321", "--clear-groups", "env", "-u", "XDG_CACHE_HOME", "-u", "HOME"];
    let mut wrappers: Vec<&[&str]> = vec![&relative];
    if is_root() {
        wrappers.push(&nobody);
    }
    for wrapper in wrappers {
        let mut child = new_process_under(wrapper, &host(json!({"id": "a"}), 1 << 30));
        let printed = run(child.current_dir(place.path()));
        let replies: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(replies[1]["output"]["cache_dir"], json!(null), "{wrapper:?}: {}", replies[1]);
        assert_eq!(replies[2]["meta"]["cache"], "compiled");
        let warnings = &replies[4]["output"]["warnings"];
        assert_eq!(warnings["disk_cache"], 1, "{wrapper:?}: {warnings}");
        assert!(warnings["last"]["message"].as_str().unwrap().contains("set `cache_dir`"), "{wrapper:?}: {warnings}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{wrapper:?}: nothing is left where it works");
        // Whoever names a directory, or wants none, has nothing to be told.
        for config in [json!({"id": "a", "cache_dir": null}), json!({"id": "a", "cache_dir": place.path().join("c")})] {
            let replies = in_new_process_under(wrapper, &host(config, 1 << 30));
            assert_eq!(replies[4]["output"]["warnings"]["last"], json!(null), "{wrapper:?}: {}", replies[4]);
        }
        fs::remove_dir_all(place.path().join("c")).unwrap();
    }
}

/// It would be the working directory.
#[test]
fn an_empty_path_of_a_directory_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let dir = |host: &str, guest: &str| json!({"capabilities": {"dirs": [{"host": host, "guest": guest}]}});
    let configs = [
        ("runtimes_dir", json!({"runtimes_dir": ""})),
        ("cache_dir", json!({"cache_dir": ""})),
        ("capabilities.dirs[0].host", dir("", "/data")),
        ("capabilities.dirs[0].guest", dir(place.path().to_str().unwrap(), "")),
    ];
    let calls = configs.clone().map(|(_, config)| ("arawn_executor_new", config));
    let mut child = new_process_under(&[], &calls);
    let printed = run(child.current_dir(place.path()));
    for ((path, _), reply) in configs.iter().zip(printed.lines()) {
        let reply: Value = serde_json::from_str(reply).unwrap();
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], *path, "{reply}");
        assert!(reply["error"].as_str().unwrap().contains("must be a path"), "{reply}");
    }
    assert_eq!(printed.lines().count(), configs.len());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
