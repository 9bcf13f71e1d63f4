//! Directories of code: caches and catalogs. A guest that could write one would have its own machine code run.

use super::setup::{Setup, errnos, probe};
use super::{granting, writable};
use crate::common::{Catalog, answering, assert_error, call, execute, executor, in_new_process_under, ok, writer};
use arawn::ffi::{arawn_executor_close, arawn_executor_new, arawn_stats, arawn_submit};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn close(id: &str) {
    ok(arawn_executor_close, &json!({"executor": id}));
}

#[track_caller]
fn assert_refused(config: &Value, path: &str) {
    let reply = call(arawn_executor_new, config);
    assert_error(&reply, "invalid_config");
    assert_eq!(reply["details"]["path"], path, "{config}: {reply}");
}

fn granted(host: &Path) -> Value {
    json!({"cache_dir": null, "capabilities": {"dirs": [writable(host)]}})
}

/// The same place from the working directory on.
fn relative(path: &Path) -> PathBuf {
    let up: PathBuf = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    up.join(path.strip_prefix("/").unwrap())
}

#[test]
fn a_cache_inside_of_a_grant_is_found_however_both_are_named() {
    let setup = Setup::new();
    let data = setup.path("rw");
    fs::create_dir_all(data.join("below")).unwrap();
    symlink(&data, setup.path("link")).unwrap();
    symlink(data.join("below"), setup.path("deep")).unwrap();
    // None of these caches exists yet.
    let caches = [
        data.join("new"),
        data.join("new/and/new"),
        setup.path("link/new"),
        setup.path("deep/new"),
        setup.path("deep/../new"),
        setup.path("ro/../rw/new"),
        relative(&data.join("new")),
        relative(&setup.path("link/new")),
    ];
    for cache in &caches {
        for host in [&data, &setup.path("link"), &setup.path("ro/../rw"), &relative(&data), &setup.path("deep/..")] {
            let dirs = json!([{"host": host, "guest": "/d"}]);
            let config = json!({"cache_dir": cache, "capabilities": {"dirs": dirs}});
            assert_refused(&config, "capabilities.dirs[0].host");
            let _ = fs::remove_dir_all(data.join("new"));
        }
    }
    // And a grant inside of a cache.
    let config = json!({"cache_dir": relative(&data), "capabilities": {"dirs": [writable(&setup.path("deep"))]}});
    assert_refused(&config, "capabilities.dirs[0].host");
}

/// A link to where nothing is yet leads into the grant.
#[test]
fn a_cache_that_would_be_made_inside_of_a_grant_is_refused_and_not_made() {
    let setup = Setup::new();
    symlink(setup.path("rw/new"), setup.path("cache")).unwrap();
    let holder = executor(granted(&setup.path("rw")));
    for cache in ["cache", "cache/below", "rw/a/b/c"] {
        assert_refused(&json!({"cache_dir": setup.path(cache)}), "cache_dir");
    }
    assert!(!setup.path("rw/new").exists() && !setup.path("rw/a").exists());
    close(&holder);
}

#[test]
fn what_another_executor_has_open_is_refused_until_that_is_closed() {
    let setup = Setup::new();
    let (data, cache, catalog) = (setup.path("rw"), setup.path("rw/cache"), setup.path("rw/catalog"));
    for key in ["cache_dir", "runtimes_dir"] {
        let place = if key == "cache_dir" { &cache } else { &catalog };
        let mut code = json!({"cache_dir": null});
        code[key] = json!(place);
        // Code first.
        let holder = executor(code.clone());
        for host in [&data, place] {
            assert_refused(&granted(host), "capabilities.dirs[0].host");
        }
        close(&holder);
        // The grant first.
        let dirs = json!([{"host": data, "guest": "/d"}]);
        let holder = executor(json!({"cache_dir": null, "capabilities": {"dirs": dirs}}));
        assert_refused(&code, key);
        code[key] = json!(relative(place));
        assert_refused(&code, key);
        close(&holder);
        close(&executor(code));
    }
}

/// A guest can leave an artifact with its seal, and wait for the host to take the directory for a cache.
#[test]
fn a_cache_is_refused_where_guests_could_write_once() {
    let setup = Setup::new();
    let holder = executor(granted(&setup.path("rw")));
    close(&holder);
    fs::DirBuilder::new().mode(0o700).create(setup.path("rw/cache")).unwrap();
    for cache in ["rw", "rw/cache", "rw/new"] {
        assert_refused(&json!({"cache_dir": setup.path(cache)}), "cache_dir");
    }
    close(&executor(json!({"cache_dir": null, "runtimes_dir": setup.path("rw/catalog")})));
}

/// Code that is mapped from a file changes with the file.
#[test]
fn a_cache_is_kept_from_guests_while_code_from_it_is_loaded() {
    let setup = Setup::new();
    let place = setup.path("place");
    let catalog = Catalog::new().with("new", &answering("mapped"));
    let config = json!({"id": "a", "cache_dir": place.join("cache"), "runtimes_dir": catalog.path()});
    let calls = [
        ("arawn_executor_new", config),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "new", "meta": true})),
        ("arawn_executor_close", json!({"executor": "a"})),
        ("arawn_executor_new", granted(&place)),
    ];
    assert_eq!(in_new_process_under(&[], &calls[..3])[1]["meta"]["cache"], "compiled");
    let replies = in_new_process_under(&[], &calls);
    assert_eq!(replies[1]["meta"]["cache"], "disk", "{replies:?}");
    assert_error(&replies[3], "invalid_config");
}

#[test]
fn a_call_in_flight_keeps_its_directories_open() {
    let setup = Setup::new();
    let catalog = Catalog::new().with("loop", &writer(b"", b"", "(loop $forever (br $forever))"));
    let id = catalog.executor_with(json!({"capabilities": {"dirs": [writable(&setup.path("rw"))]}}));
    crate::common::load(&id, "loop");
    ok(arawn_submit, &json!({"executor": id, "runtime": "loop", "limits": {"timeout_ms": 1500}}));
    while ok(arawn_stats, &json!({}))["engine"]["slots_in_use"] == 0 {}
    std::thread::sleep(Duration::from_millis(100));
    close(&id);
    let begun = Instant::now();
    let code = json!({"cache_dir": null, "runtimes_dir": setup.path("rw/catalog")});
    assert_refused(&code, "runtimes_dir");
    while call(arawn_executor_new, &code)["status"] != "ok" {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Where a path leads by way of a directory that guests may write, they say where it leads.
#[test]
fn a_link_that_a_guest_has_made_leads_neither_to_code_nor_to_a_grant() {
    let setup = Setup::new();
    fs::create_dir(setup.path("aside")).unwrap();
    let guest = granting(&setup, json!([writable(&setup.path("rw"))]));
    assert_eq!(errnos(&guest, json!([["path_symlink", "../aside", 3, "link"]])), [0]);
    assert_refused(&json!({"cache_dir": setup.path("rw/link/cache")}), "cache_dir");
    assert_refused(&json!({"cache_dir": null, "runtimes_dir": setup.path("rw/link/catalog")}), "runtimes_dir");
    assert_refused(&granted(&setup.path("rw/link")), "capabilities.dirs[0].host");
    // Deeper, and by way of what is above.
    let deeper = json!([["path_create_directory", 3, "a"], ["path_symlink", "../../aside", 3, "a/link"]]);
    assert_eq!(errnos(&guest, deeper), [0, 0]);
    let ways = ["rw/link", "rw/a/link", "rw/a/../../aside"];
    for way in ways {
        assert_refused(&granted(&setup.path(way)), "capabilities.dirs[0].host");
    }
    assert_eq!(fs::read_dir(setup.path("aside")).unwrap().count(), 0);
    close(&guest);
    // The links are still there.
    for way in ways {
        assert_refused(&granted(&setup.path(way)), "capabilities.dirs[0].host");
        assert_refused(&json!({"cache_dir": setup.path(way)}), "cache_dir");
    }
    close(&executor(granted(&setup.path("aside"))));
}

/// The host moves a directory with a guest's link in it while the directory is granted.
#[test]
fn a_path_to_code_does_not_pass_through_a_grant_wherever_that_was_moved() {
    let setup = Setup::new();
    fs::create_dir(setup.path("aside")).unwrap();
    let guest = granting(&setup, json!([writable(&setup.path("rw"))]));
    assert_eq!(errnos(&guest, json!([["path_symlink", "../aside", 3, "link"]])), [0]);
    fs::rename(setup.path("rw"), setup.path("moved")).unwrap();
    assert_refused(&json!({"cache_dir": setup.path("moved/link/cache")}), "cache_dir");
    assert_refused(&json!({"cache_dir": null, "runtimes_dir": setup.path("moved/link/catalog")}), "runtimes_dir");
    assert_eq!(fs::read_dir(setup.path("aside")).unwrap().count(), 0);
    close(&guest);
}

/// The host moves a directory that guests may write, and makes it a cache once nobody is granted it.
#[test]
fn a_cache_is_refused_where_guests_could_write_before_it_was_moved() {
    let setup = Setup::new();
    let holder = executor(granted(&setup.path("rw")));
    fs::rename(setup.path("rw"), setup.path("moved")).unwrap();
    close(&holder);
    assert_refused(&json!({"cache_dir": setup.path("moved/cache")}), "cache_dir");
}

/// Where this user may not look at the way to the platform's cache, nobody is kept from granting something else.
#[test]
fn a_platforms_cache_that_cannot_be_looked_at_is_in_nobodys_way() {
    let setup = Setup::new();
    fs::write(setup.path("file"), "").unwrap();
    let wrapper = ["env", &format!("XDG_CACHE_HOME={}", setup.path("file/home").display())];
    let mut grant = granted(&setup.path("rw"));
    grant["cache_dir"] = Value::Null;
    let replies = in_new_process_under(&wrapper, &[("arawn_executor_new", grant)]);
    assert_eq!(replies[0]["status"], "ok", "{replies:?}");
}

/// A directory and a link that take each other's name all the time, as a guest can have them do.
#[test]
fn a_catalog_that_is_replaced_while_it_is_opened_is_not_one_inside_of_a_grant() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("aside/catalog")).unwrap();
    let (catalog, other) = (setup.path("rw/catalog"), setup.path("rw/other"));
    fs::create_dir(&catalog).unwrap();
    symlink("../aside/catalog", &other).unwrap();
    let holder = executor(granted(&setup.path("rw")));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let spare = setup.path("rw/spare");
            while !over.load(Ordering::Relaxed) {
                for [from, to] in [[&catalog, &spare], [&other, &catalog], [&spare, &other]] {
                    fs::rename(from, to).unwrap();
                }
            }
        });
        for round in 0..300 {
            let config = json!({"id": format!("swapped-{round}"), "cache_dir": null, "runtimes_dir": catalog});
            let reply = call(arawn_executor_new, &config);
            if reply["status"] == "ok" {
                over.store(true, Ordering::Relaxed);
                panic!("{reply}");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    close(&holder);
}

#[test]
fn of_a_cache_and_a_grant_around_it_that_are_opened_at_once_one_is_refused() {
    let setup = Setup::new();
    for key in ["cache_dir", "runtimes_dir"] {
        for round in 0..100 {
            let data = setup.path(&format!("rw/{key}-{round}"));
            fs::create_dir(&data).unwrap();
            let mut code = json!({"id": format!("{key}-code-{round}"), "cache_dir": null});
            code[key] = json!(data.join("code"));
            let mut grant = granted(&data);
            grant["id"] = json!(format!("{key}-grant-{round}"));
            let barrier = Barrier::new(2);
            let open = |config: &Value| {
                barrier.wait();
                call(arawn_executor_new, config)["status"] == "ok"
            };
            let opened = std::thread::scope(|scope| {
                let other = scope.spawn(|| open(&code));
                [open(&grant), other.join().unwrap()]
            });
            assert_eq!(opened.iter().filter(|opened| **opened).count(), 1, "{opened:?}");
            let id = if opened[0] { &grant["id"] } else { &code["id"] };
            ok(arawn_executor_close, &json!({"executor": id}));
        }
    }
}

/// Other processes of the user run code from the platform's cache.
#[test]
fn the_platforms_cache_is_not_granted_for_writing() {
    let setup = Setup::new();
    let home = setup.path("home");
    fs::create_dir_all(home.join("work")).unwrap();
    fs::create_dir(setup.path("way")).unwrap();
    symlink(home.join("missing"), setup.path("way/link")).unwrap();
    let new = |dirs: Value| ("arawn_executor_new", json!({"cache_dir": null, "capabilities": {"dirs": dirs}}));
    // It does not exist; it is behind a link that leads nowhere; it exists.
    for platform in [home.join(".cache"), setup.path("way/link"), home.join(".cache")] {
        let wrapper = ["env", &format!("XDG_CACHE_HOME={}", platform.display())];
        let replies = in_new_process_under(
            &wrapper,
            &[
                new(json!([writable(&home)])),
                new(json!([{"host": home, "guest": "/d"}])),
                new(json!([writable(&home.join("work"))])),
                ("arawn_executor_new", json!({})),
                ("arawn_executor_new", json!({"capabilities": {"dirs": [writable(&home.join("work"))]}})),
            ],
        );
        assert_error(&replies[0], "invalid_config");
        assert_eq!(replies[0]["details"]["path"], "capabilities.dirs[0].host", "{replies:?}");
        assert_eq!((&replies[1]["status"], &replies[2]["status"]), (&json!("ok"), &json!("ok")), "{replies:?}");
        // That cache would now be used by an executor of this process, whose guests can read it.
        for reply in &replies[3..] {
            assert_error(reply, "invalid_config");
            assert_eq!(reply["details"]["path"], "cache_dir", "{replies:?}");
        }
        fs::create_dir_all(home.join(".cache/arawn/below")).unwrap();
    }
    // What is in that cache, and what is on the way to it.
    let refused = [(".cache", home.join(".cache/arawn/below")), ("../way/link", setup.path("way"))];
    for (platform, host) in refused {
        let wrapper = ["env", &format!("XDG_CACHE_HOME={}", home.join(platform).display())];
        let replies = in_new_process_under(&wrapper, &[new(json!([writable(&host)]))]);
        assert_error(&replies[0], "invalid_config");
        assert_eq!(replies[0]["details"]["path"], "capabilities.dirs[0].host", "{replies:?}");
    }
}

/// A guest moves a granted directory within another grant. What lies around it then is what counts.
#[test]
fn a_grant_is_looked_for_where_it_is_now() {
    let setup = Setup::new();
    fs::create_dir_all(setup.path("rw/a/b")).unwrap();
    let outer = granting(&setup, json!([writable(&setup.path("rw"))]));
    let inner = granting(&setup, json!([writable(&setup.path("rw/a/b"))]));
    assert_eq!(errnos(&outer, json!([["path_rename", 3, "a", 3, "z"]])), [0]);
    close(&outer);
    assert_refused(&json!({"cache_dir": null, "runtimes_dir": setup.path("rw/z")}), "runtimes_dir");
    assert_eq!(errnos(&inner, json!([["path_create_directory", 3, "still"]])), [0]);
    assert!(setup.path("rw/z/b/still").is_dir());
    close(&inner);
    close(&executor(json!({"cache_dir": null, "runtimes_dir": setup.path("rw/z")})));
    // Into a directory that was not around it before.
    fs::create_dir(setup.path("rw/y")).unwrap();
    let outer = granting(&setup, json!([writable(&setup.path("rw"))]));
    let inner = granting(&setup, json!([writable(&setup.path("rw/z/b"))]));
    assert_eq!(errnos(&outer, json!([["path_rename", 3, "z/b", 3, "y/b"]])), [0]);
    close(&outer);
    assert_refused(&json!({"cache_dir": null, "runtimes_dir": setup.path("rw/y")}), "runtimes_dir");
    close(&inner);
    close(&executor(json!({"cache_dir": null, "runtimes_dir": setup.path("rw/y")})));
}

/// The host moves a granted directory to where a cache has its artifacts.
#[test]
fn a_grant_that_the_host_moves_into_a_cache_is_not_used_as_one() {
    let setup = Setup::new();
    let cache = setup.path("cache");
    let catalog = Catalog::new().with("new", &answering(&format!("into {}", std::process::id())));
    // Finds the name of the directory of artifacts.
    let id = catalog.executor_with(json!({"cache_dir": cache}));
    assert_eq!(execute(&json!({"executor": id, "runtime": "new"}))["status"], "ok");
    close(&id);
    let artifacts = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    fs::remove_dir_all(&artifacts).unwrap();
    let grant = setup.path("rw/grant");
    fs::DirBuilder::new().mode(0o700).create(&grant).unwrap();
    let holder = executor(granted(&grant));
    fs::rename(&grant, &artifacts).unwrap();
    let other = Catalog::new().with("other", &answering(&format!("other into {}", std::process::id())));
    let id = other.executor_with(json!({"cache_dir": cache}));
    assert_eq!(execute(&json!({"executor": id, "runtime": "other"}))["status"], "ok");
    close(&id);
    assert_eq!(fs::read_dir(&artifacts).unwrap().count(), 0);
    close(&holder);
}

#[test]
fn a_cache_is_used_where_it_was_opened() {
    let setup = Setup::new();
    let (cache, other) = (setup.path("cache"), setup.path("elsewhere"));
    let catalog = Catalog::new().with("new", &answering(&format!("cache {}", std::process::id())));
    fs::DirBuilder::new().mode(0o700).create(&cache).unwrap();
    let id = catalog.executor_with(json!({"cache_dir": cache}));
    fs::rename(&cache, setup.path("renamed")).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&other).unwrap();
    symlink(&other, &cache).unwrap();
    assert_eq!(execute(&json!({"executor": id, "runtime": "new"}))["status"], "ok");
    close(&id);
    assert_eq!(fs::read_dir(other).unwrap().count(), 0);
    assert_eq!(fs::read_dir(setup.path("renamed")).unwrap().count(), 1);
}

#[test]
fn a_cache_that_the_host_moves_into_a_grant_is_not_used() {
    let setup = Setup::new();
    let (cache, moved) = (setup.path("cache"), setup.path("rw/moved"));
    let catalog = Catalog::new().with("new", &answering(&format!("moved {}", std::process::id())));
    let id = catalog.executor_with(json!({"cache_dir": cache}));
    let grant = executor(granted(&setup.path("rw")));
    fs::rename(&cache, &moved).unwrap();
    assert_eq!(execute(&json!({"executor": id, "runtime": "new"}))["status"], "ok");
    close(&id);
    assert_eq!(fs::read_dir(&moved).unwrap().count(), 0);
    close(&grant);
}

#[test]
fn an_empty_path_is_no_directory() {
    assert_refused(&json!({"cache_dir": ""}), "cache_dir");
    assert_refused(&json!({"cache_dir": null, "runtimes_dir": ""}), "runtimes_dir");
    assert_refused(&granted(Path::new("")), "capabilities.dirs[0].host");
    assert!(!crate::common::root().join("builtin").exists(), "nothing is made in the working directory");
}

/// A bind mount of a directory is that directory. Where mounting is not allowed, there is nothing to try.
#[test]
fn a_bind_mount_of_the_cache_is_the_cache() {
    let setup = Setup::new();
    let (data, mounted) = (setup.path("rw"), setup.path("mounted"));
    fs::create_dir(&mounted).unwrap();
    let mount = format!("mount --bind {} {} && exec \"$0\"", data.display(), mounted.display());
    let wrapper = ["unshare", "-rm", "sh", "-c", &mount];
    let may_mount = std::process::Command::new("unshare").args(["-rm", "sh", "-c", &mount, "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        return;
    }
    let config = json!({"cache_dir": data.join("cache"), "capabilities": {"dirs": [writable(&mounted)]}});
    let replies = in_new_process_under(&wrapper, &[("arawn_executor_new", config)]);
    assert_error(&replies[0], "invalid_config");
    assert_eq!(replies[0]["details"]["path"], "capabilities.dirs[0].host", "{replies:?}");
    assert_eq!(probe(&setup.executor(json!({})), json!([["path_open", 4, "b.txt", {}]]))[0]["errno"], 0);
}

/// One file system that is mounted twice, as containers have it: what lies in the grant is the cache, by another mount.
#[test]
fn a_bind_mount_of_a_part_of_a_grant_is_no_cache() {
    let setup = Setup::new();
    let (data, part, mounted) = (setup.path("rw"), setup.path("rw/part"), setup.path("mounted"));
    fs::create_dir(&mounted).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&part).unwrap();
    let mount = format!("mount --bind {} {} && exec \"$0\"", part.display(), mounted.display());
    let wrapper = ["unshare", "-rm", "sh", "-c", &mount];
    let may_mount = std::process::Command::new("unshare").args(["-rm", "sh", "-c", &mount, "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        return;
    }
    for cache in [mounted.clone(), mounted.join("below")] {
        let mut grant = granted(&data);
        grant["id"] = json!("g");
        let code = json!({"cache_dir": cache});
        let replies = in_new_process_under(
            &wrapper,
            &[
                ("arawn_executor_new", grant),
                ("arawn_executor_new", code.clone()),
                ("arawn_executor_close", json!({"executor": "g"})),
                // Guests could write there.
                ("arawn_executor_new", code),
            ],
        );
        for reply in [&replies[1], &replies[3]] {
            assert_error(reply, "invalid_config");
            assert_eq!(reply["details"]["path"], "cache_dir", "{replies:?}");
        }
    }
}
