#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::open::Wanted;
use super::*;
use crate::directories::quota::{ENTRY_BYTES, Quota};
use cap_std::fs::Dir;
use rustix::fs::OFlags;
use std::fs::File;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use wasmtime_wasi::p1::types::Oflags;

fn bounded(directory: &tempfile::TempDir, bytes: u64) -> Directory {
    let dir = Arc::new(Dir::from_std_file(File::open(directory.path()).unwrap()));
    Directory { dir, write: true, quota: Some(Arc::new(Quota::new(bytes, Arc::default()))), granted_as: None }
}

fn file(directory: &Directory, name: &str) -> HostFile {
    let wanted = Wanted::new(false, Oflags::CREAT, true, true).unwrap();
    let Some(Found::File(file)) = directory.open(name, wanted).unwrap() else { panic!("no file") };
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND).unwrap();
    file
}

/// Each looks at the size before and after it writes: two at once would count twice what one of them has written.
#[test]
fn a_file_that_several_threads_write_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let bounded = bounded(&directory, ENTRY_BYTES + 20_000);
    thread::scope(|scope| {
        for _ in 0..4 {
            let file = file(&bounded, "file");
            scope.spawn(move || while file.write(b"x").is_ok() {});
        }
    });
    assert_eq!(directory.path().join("file").metadata().unwrap().len(), 20_000);
}

/// Two names of one file that change at once would have it count twice, or nowhere.
#[test]
fn whatever_changes_entries_does_so_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (bounded, free) = (bounded(&directory, 1 << 20), Directory { quota: None, ..bounded(&directory, 0) });
    drop((file(&free, "one"), file(&free, "two")));
    free.create_dir("empty").unwrap();
    let wanted = Wanted::new(false, Oflags::CREAT, true, true).unwrap();
    let changes: [&(dyn Fn() -> std::io::Result<()> + Sync); 7] = [
        &|| bounded.create_dir("directory"),
        &|| bounded.symlink("one", "link"),
        &|| bounded.hard_link("one", &bounded, "name"),
        &|| bounded.rename("one", &bounded, "renamed"),
        &|| bounded.remove_file("two"),
        &|| bounded.remove_dir("empty"),
        &|| bounded.open("new", wanted).map(drop),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let (sender, changed) = mpsc::channel();
        thread::scope(|scope| {
            let alone = bounded.quota.as_ref().unwrap().alone();
            scope.spawn(move || sender.send(change()).unwrap());
            assert!(changed.recv_timeout(Duration::from_millis(20)).is_err(), "change {index}");
            drop(alone);
            changed.recv().unwrap().unwrap();
        });
    }
}
