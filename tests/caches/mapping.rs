//! Large modules: compiled code is mapped from the disk cache, and neither it nor the `.wasm` is read to know that it is
//! the right one, as long as both are the files that they were.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, answering, assert_error, in_new_process, writer};
use serde_json::{Value, json};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Of the large module's data.
const SIZE: usize = 100 << 20;
/// What a process may read that reads neither file: the catalog, the records, what the loader reads.
const LITTLE: u64 = 1 << 20;

/// A module of `size` bytes of data that answers what stands in their middle.
fn large(size: usize) -> Vec<u8> {
    const AT: usize = 1 << 16;
    let answer = br#"{"status":"ok","output":"from the middle"}"#;
    let middle = AT + size / 2;
    let mut module = wat::parse_str(format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") {})
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const {middle})) (i32.store (i32.const 4) (i32.const {}))
            (drop (call 0 (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        (AT + size) / 65536 + 1,
        answer.len(),
    ))
    .unwrap();
    let leb = |mut value: usize| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    // Nothing that a file system or the compiler could leave out.
    let mut state = 1u64;
    let mut data: Vec<u8> = (0..size / 8)
        .flat_map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state | 1).to_le_bytes()
        })
        .collect();
    data[size / 2..size / 2 + answer.len()].copy_from_slice(answer);
    // Active, for memory 0 at the constant AT, as signed LEB128.
    let head = [&[1, 0, 0x41, 0x80, 0x80, 0x04, 0x0b][..], &leb(data.len())].concat();
    module.push(11);
    module.extend(leb(head.len() + data.len()));
    module.extend(head);
    module.extend(data);
    module
}

struct Fixture {
    catalog: Catalog,
    cache: tempfile::TempDir,
}

impl Fixture {
    fn new(name: &str, module: &[u8]) -> Self {
        let catalog = Catalog::new().with_bytes(name, module);
        // A file that has just been written is not remembered: it may change again and look the same.
        std::thread::sleep(Duration::from_millis(100));
        Fixture { catalog, cache: tempfile::tempdir().unwrap() }
    }

    /// Calls a runtime in a process of its own: the reply, and the bytes that the call read.
    fn first_call(&self, name: &str) -> (Value, u64, u64) {
        let config = |id: &str| {
            let limits = json!({"memory_bytes": 1 << 30, "timeout_ms": 120_000});
            json!({"id": id, "runtimes_dir": self.catalog.path(), "cache_dir": self.cache.path(), "limits": limits})
        };
        let mut calls = vec![
            ("arawn_executor_new", config("a")),
            ("bytes_read", json!({})),
            ("arawn_execute_runtime", json!({"executor": "a", "runtime": name, "meta": true})),
            ("bytes_read", json!({})),
        ];
        // Closing waits for writes, each time for some seconds at most.
        for _ in 0..60 {
            calls.extend([("arawn_executor_new", config("b")), ("arawn_executor_close", json!({"executor": "b"}))]);
        }
        let replies = in_new_process(&calls);
        let read = |kind: &str| replies[3][kind].as_u64().unwrap() - replies[1][kind].as_u64().unwrap();
        (replies[2].clone(), read("calls"), read("storage"))
    }

    /// The tier and the bytes read of a call that must answer this.
    #[track_caller]
    fn call(&self, name: &str, output: &str) -> (String, u64) {
        let (reply, read, _) = self.first_call(name);
        assert_eq!(reply["output"], output, "{reply}");
        (reply["meta"]["cache"].as_str().unwrap().to_owned(), read)
    }

    /// The cache's only file with this extension.
    fn cached(&self, extension: &str) -> PathBuf {
        let leaf = fs::read_dir(self.cache.path()).unwrap().next().unwrap().unwrap().path();
        let all = fs::read_dir(leaf).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = all.filter(|path| path.extension().is_some_and(|of| of == extension)).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn set_modified(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    std::thread::sleep(Duration::from_millis(100));
}

/// Flips a bit in the middle of a file and gives it back its time.
fn flip(path: &Path) {
    let time = modified(path);
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let middle = SeekFrom::Start(file.metadata().unwrap().len() / 2);
    let mut byte = [0];
    file.seek(middle).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(middle).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
    drop(file);
    set_modified(path, time);
}

#[test]
fn the_second_process_reads_neither_the_module_nor_its_code() {
    let fixture = Fixture::new("large", &large(SIZE));
    let answer = "from the middle";
    let (tier, read) = fixture.call("large", answer);
    assert_eq!(tier, "compiled");
    assert!(read as usize > SIZE, "{read}");
    let artifact = fixture.cached("cwasm");
    assert!(fs::metadata(&artifact).unwrap().len() as usize > SIZE, "the data is part of the artifact");
    // What is read of the mapping comes from storage then.
    for path in [&artifact, &fixture.catalog.module("large")] {
        let file = File::open(path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
    let (reply, read, storage) = fixture.first_call("large");
    assert_eq!((&reply["output"], &reply["meta"]["cache"]), (&json!(answer), &json!("disk")));
    assert!(read < LITTLE, "{read} bytes by system calls");
    assert!(storage < SIZE as u64 / 2, "{storage} bytes from storage");
    // A file whose identity has changed is read, and known again from then on.
    for (path, name) in [(artifact, "the artifact"), (fixture.catalog.module("large"), "the module")] {
        set_modified(&path, modified(&path) - Duration::from_secs(10));
        let (tier, read) = fixture.call("large", answer);
        assert_eq!(tier, "disk", "{name}");
        assert!(read as usize > SIZE && (read as usize) < SIZE + SIZE / 2, "{name}: {read}");
        let (tier, read) = fixture.call("large", answer);
        assert_eq!(tier, "disk", "{name}");
        assert!(read < LITTLE, "{name}: {read}");
    }
}

/// The module is read once to know what it is and once to be compiled, however many calls wait for it.
#[test]
fn sixteen_first_calls_of_a_large_module_read_it_twice() {
    let size = 30 << 20;
    let read = || {
        let io = fs::read_to_string("/proc/self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse::<usize>().unwrap()
    };
    let catalog = Catalog::new().with_bytes("large", &large(size));
    let limits = json!({"memory_bytes": 1 << 30, "timeout_ms": 120_000});
    let id = catalog.executor_with(json!({"limits": limits}));
    std::thread::sleep(Duration::from_millis(100));
    let before = read();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let reply = common::execute(&json!({"executor": id, "runtime": "large"}));
                assert_eq!(reply["output"], "from the middle");
            });
        }
    });
    let read = read() - before;
    assert!(read < 2 * size + size / 2, "{read}");
}

#[test]
fn damage_is_seen_although_the_time_is_given_back() {
    let fixture = Fixture::new("small", &wat::parse_str(answering("small")).unwrap());
    assert_eq!(fixture.call("small", "small").0, "compiled");
    assert_eq!(fixture.call("small", "small").0, "disk");
    flip(&fixture.cached("cwasm"));
    assert_eq!(fixture.call("small", "small").0, "compiled");
    assert_eq!(fixture.call("small", "small").0, "disk", "mended");
    // Another module of the same size, in the same file, with the same time.
    let path = fixture.catalog.module("small");
    let (time, inode) = (modified(&path), fs::metadata(&path).unwrap().ino());
    fs::write(&path, wat::parse_str(answering("snail")).unwrap()).unwrap();
    set_modified(&path, time);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(fixture.call("small", "snail").0, "compiled");
    assert_eq!(fixture.call("small", "snail").0, "disk");
    flip(&path);
    let (reply, ..) = fixture.first_call("small");
    assert!(reply["output"] != "snail", "{reply}");
}

#[test]
fn a_pin_holds_for_what_is_known_of_a_file_as_for_the_file() {
    let fixture = Fixture::new("pinned", &wat::parse_str(answering("one")).unwrap());
    fixture.call("pinned", "one");
    let text = fs::read_to_string(fixture.catalog.file()).unwrap();
    fs::write(fixture.catalog.file(), format!("{text}sha256 = \"{}\"\n", "0".repeat(64))).unwrap();
    for _ in 0..2 {
        assert_error(&fixture.first_call("pinned").0, "hash_mismatch");
    }
}

/// What a record says counts only if nobody else can have written it, and only while nothing contradicts it.
#[test]
fn a_record_that_is_not_ours_or_not_true_is_no_record() {
    // Large enough that reading it shows.
    let fixture =
        Fixture::new("middle", &wat::parse_str(writer(br#"{"status":"ok","output":"m"}"#, &[7; 3 << 20], "")).unwrap());
    let large = 3 << 20;
    fixture.call("middle", "m");
    let (tier, read) = fixture.call("middle", "m");
    assert!(tier == "disk" && read < LITTLE, "{tier} {read}");
    let record = fixture.cached("wasm-hash");
    let text = fs::read_to_string(&record).unwrap();
    let lie = "0".repeat(64) + &text[64..];
    let is_superuser = fs::metadata("/proc/self").unwrap().uid() == 0;
    type Spoil<'a> = &'a dyn Fn();
    let spoiled: [(&str, bool, Spoil<'_>); 12] = [
        ("writable by others", true, &|| fs::set_permissions(&record, Permissions::from_mode(0o666)).unwrap()),
        ("empty", true, &|| fs::write(&record, "").unwrap()),
        ("not text", true, &|| fs::write(&record, b"\xff\xfe").unwrap()),
        ("cut", true, &|| fs::write(&record, &text[..text.len() - 1]).unwrap()),
        ("of another version", true, &|| fs::write(&record, text.replacen(" ", " 1", 1)).unwrap()),
        ("of another path", true, &|| fs::write(&record, text.replace("middle", "riddle")).unwrap()),
        ("no hash", true, &|| fs::write(&record, format!("{}{}", "g".repeat(64), &text[64..])).unwrap()),
        ("a lie about code that there is none of", true, &|| fs::write(&record, &lie).unwrap()),
        ("a link", true, &|| {
            let other = record.with_extension("moved");
            fs::rename(&record, &other).unwrap();
            std::os::unix::fs::symlink(other, &record).unwrap();
        }),
        ("away", true, &|| fs::remove_file(&record).unwrap()),
        ("of another user, if it can be given away", is_superuser, &|| {
            let given = is_superuser.then(|| std::os::unix::fs::chown(&record, Some(65534), None));
            given.unwrap_or(Ok(())).unwrap();
        }),
        ("whole", false, &|| {}),
    ];
    for (what, is_read, spoil) in spoiled {
        spoil();
        let (tier, read) = fixture.call("middle", "m");
        assert_eq!((tier.as_str(), read > large), ("disk", is_read), "{what}: {read}");
        // Mended by the call that has read the file.
        let _ = fs::remove_file(record.with_extension("moved"));
        let (_, read) = fixture.call("middle", "m");
        assert!(read < LITTLE, "{what}: {read}");
    }
}

#[test]
fn a_seal_that_is_not_ours_is_no_seal() {
    let fixture = Fixture::new("small", &wat::parse_str(answering("small")).unwrap());
    fixture.call("small", "small");
    let seal = fixture.cached("sha256");
    let text = fs::read_to_string(&seal).unwrap();
    // It says of another artifact that it was seen: the digest it has is not asked for then.
    for spoil in [
        &(|| fs::set_permissions(&seal, Permissions::from_mode(0o620)).unwrap()) as &dyn Fn(),
        &|| fs::write(&seal, "").unwrap(),
        &|| fs::write(&seal, text.replacen('\n', "\n1", 1).replace(&text[..8], "00000000")).unwrap(),
    ] {
        spoil();
        assert_eq!(fixture.call("small", "small").0, "compiled");
        assert_eq!(fixture.call("small", "small").0, "disk");
    }
    // Without a version that was seen, the digest decides. It is not noted of one that may still change unseen.
    std::thread::sleep(Duration::from_millis(100));
    fs::write(&seal, &fs::read_to_string(&seal).unwrap()[..64]).unwrap();
    assert_eq!(fixture.call("small", "small").0, "disk");
    assert!(fs::read_to_string(&seal).unwrap().len() > 64, "and the version is noted again");
}

/// Entries of one file share its code; what is registered need not be read by another process.
#[test]
fn what_is_registered_is_known_to_the_next_process() {
    let fixture = Fixture::new("unused", b"");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("interpreter.wasm");
    fs::write(&path, large(20 << 20)).unwrap();
    let limits = json!({"memory_bytes": 1 << 30, "timeout_ms": 120_000});
    let config =
        json!({"id": "a", "runtimes_dir": fixture.catalog.path(), "cache_dir": fixture.cache.path(), "limits": limits});
    let mut calls = vec![
        ("arawn_executor_new", config),
        ("arawn_catalog_register", json!({"executor": "a", "name": "interpreter", "path": path})),
        (
            "arawn_catalog_register",
            json!({"executor": "a", "name": "script", "module_of": "interpreter", "args": ["-c"]}),
        ),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "script", "meta": true})),
        ("arawn_stats", json!({})),
    ];
    calls.push(("arawn_executor_close", json!({"executor": "a"})));
    let replies = in_new_process(&calls);
    assert_eq!(
        (&replies[3]["meta"]["cache"], &replies[4]["output"]["compiles"]),
        (&json!("memory"), &json!(1)),
        "{replies:?}"
    );
    for name in ["interpreter", "script"] {
        let (tier, read) = fixture.call(name, "from the middle");
        assert_eq!(tier, "disk");
        assert!(read < LITTLE, "{name}: {read}");
    }
}
