#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::open::Opened;
use super::*;
use crate::directories::quota::{ENTRY_BYTES, Quota};
use cap_std::fs::Dir;
use rustix::fs::OFlags;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use wasmtime_wasi::p1::types::Oflags;

fn bounded(directory: &tempfile::TempDir, bytes: u64) -> OpenDirectory {
    let dir = Arc::new(Dir::from_std_file(File::open(directory.path()).unwrap()));
    OpenDirectory { dir, write: true, quota: Some(Arc::new(Quota::new(bytes, Arc::default()))), granted_as: None }
}

fn file(directory: &OpenDirectory, name: &str) -> HostFile {
    let wanted = OpenRequest::new(false, Oflags::CREAT, true, true).unwrap();
    let Some(Opened::File(file)) = directory.open(name, wanted).unwrap() else { panic!("no file") };
    crate::sys::set_flags(file.file(), true, false).unwrap();
    file
}

/// A file, a directory with a directory in it, an empty directory, and links to the file, to the empty directory and to
/// nothing.
fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("full/within")).unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    for (name, target) in [("to-file", "file"), ("to-empty", "empty"), ("to-none", "none")] {
        std::os::unix::fs::symlink(target, at(name)).unwrap();
    }
    directory
}

/// Slashes and dots at the end of a name mean what they mean to Linux, in every operation that takes a path.
#[cfg(target_os = "linux")]
#[test]
fn names_end_as_linux_has_them() {
    use rustix::fs::{AtFlags, FileType, Mode, linkat, mkdirat, renameat, statat, symlinkat, unlinkat};
    type LinuxResult = Result<Option<FileType>, i32>;
    let mode = Mode::from_raw_mode(0o777);
    let kind = |dir: &File, path: &str, flags| Ok(Some(FileType::from_raw_mode(statat(dir, path, flags)?.st_mode)));
    let ours_kind = |open: &OpenDirectory, path: &str, follows| {
        let kind = open.metadata_of(path, follows)?.file_type();
        let types = [(kind.is_file(), FileType::RegularFile), (kind.is_dir(), FileType::Directory)];
        Ok(Some(types.iter().find(|(is, _)| *is).map_or(FileType::Symlink, |(_, kind)| *kind)))
    };
    let untouched = names(tree().path());
    let mut trees = [(false, None), (true, None)];
    let mut wrong = Vec::new();
    let mut compare = |what: &str,
                       theirs: &dyn Fn(&File) -> rustix::io::Result<Option<FileType>>,
                       ours: &dyn Fn(&OpenDirectory) -> std::io::Result<Option<FileType>>| {
        for (counts, trees) in &mut trees {
            let (one, other) = trees.get_or_insert_with(|| (tree(), tree()));
            let dir = File::open(one.path()).unwrap();
            let expected: LinuxResult = theirs(&dir).map_err(|errno| errno.raw_os_error());
            let open = bounded(other, 1 << 20);
            let open = if *counts { open } else { OpenDirectory { quota: None, ..open } };
            let got: LinuxResult = ours(&open).map_err(|error| error.raw_os_error().unwrap_or_default());
            let (left, right) = (names(one.path()), names(other.path()));
            if got != expected || left != right {
                wrong.push(format!("{what}: {got:?} instead of {expected:?}"));
            }
            if left != untouched || right != untouched {
                *trees = None;
            }
        }
    };
    let names = ["file", "full", "empty", "to-file", "to-empty", "to-none", "none", "empty/.."];
    for path in names.iter().flat_map(|name| ["", "/", "/.", "//"].map(|end| format!("{name}{end}"))) {
        let path = &*path;
        let follow = AtFlags::empty();
        compare(&format!("lstat {path}"), &|d| kind(d, path, AtFlags::SYMLINK_NOFOLLOW), &|d| {
            ours_kind(d, path, false)
        });
        compare(&format!("stat {path}"), &|d| kind(d, path, follow), &|d| ours_kind(d, path, true));
        for (follows, flags) in [true, false].into_iter().flat_map(|follows| [0, 1, 2, 3].map(|flags| (follows, flags)))
        {
            let mut theirs = if follows { OFlags::empty() } else { OFlags::NOFOLLOW };
            let mut ours = Oflags::empty();
            for (index, (their, our)) in
                [(OFlags::CREATE, Oflags::CREAT), (OFlags::DIRECTORY, Oflags::DIRECTORY)].into_iter().enumerate()
            {
                theirs.set(their, flags & (1 << index) != 0);
                ours.set(our, flags & (1 << index) != 0);
            }
            // Linux since 6.4 refuses both flags together, as wasmtime does.
            if flags == 3 {
                continue;
            }
            let wanted = OpenRequest::new(follows, ours, true, flags == 1).unwrap();
            compare(
                &format!("open {path}, {ours:?}, follows: {follows}"),
                &|d| {
                    let access = if flags == 1 { OFlags::RDWR } else { OFlags::RDONLY };
                    let opened = rustix::fs::openat(d, path, theirs | access | OFlags::CLOEXEC, mode)?;
                    Ok(Some(FileType::from_raw_mode(rustix::fs::fstat(opened)?.st_mode)))
                },
                &|d| {
                    Ok(d.open(path, wanted)?.map(|found| match found {
                        Opened::Directory(_) => FileType::Directory,
                        _ => FileType::RegularFile,
                    }))
                },
            );
        }
        let done = |()| None;
        compare(&format!("mkdir {path}"), &|d| mkdirat(d, path, mode).map(done), &|d| d.create_dir(path).map(done));
        compare(&format!("rmdir {path}"), &|d| unlinkat(d, path, AtFlags::REMOVEDIR).map(done), &|d| {
            d.remove_dir(path).map(done)
        });
        compare(&format!("unlink {path}"), &|d| unlinkat(d, path, AtFlags::empty()).map(done), &|d| {
            d.remove_file(path).map(done)
        });
        compare(&format!("symlink {path}"), &|d| symlinkat("x", d, path).map(done), &|d| {
            d.symlink("x", path).map(done)
        });
        for other in ["file", "empty", "file/", "empty/", "new/", "to-empty/"] {
            compare(&format!("rename {path} to {other}"), &|d| renameat(d, path, d, other).map(done), &|d| {
                d.rename(path, d, other).map(done)
            });
            compare(
                &format!("link {path} to {other}"),
                &|d| linkat(d, path, d, other, AtFlags::empty()).map(done),
                &|d| d.hard_link(path, d, other).map(done),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// All entries below a directory, with their types.
fn names(directory: &std::path::Path) -> Vec<(std::path::PathBuf, std::fs::FileType)> {
    let mut all = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(within) = left.pop() {
        for entry in std::fs::read_dir(within).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            all.push((entry.path().strip_prefix(directory).unwrap().to_owned(), kind));
            left.extend(kind.is_dir().then(|| entry.path()));
        }
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Each write looks at the size before and after it. Two writes at once would count some bytes twice.
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

/// If two names of one file changed at once, the file would count twice, or not at all.
#[test]
fn whatever_changes_entries_does_so_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (bounded, free) = (bounded(&directory, 1 << 20), OpenDirectory { quota: None, ..bounded(&directory, 0) });
    drop((file(&free, "one"), file(&free, "two")));
    free.create_dir("empty").unwrap();
    let wanted = OpenRequest::new(false, Oflags::CREAT, true, true).unwrap();
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
