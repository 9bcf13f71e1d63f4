//! The directories: some granted, one not, and what they are to be after each program.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What stands in every file beside the grants, and in some names there: no guest gets to know it.
pub const SECRET: &str = "Qz7#kW9!";

pub struct Grant {
    /// Where it is.
    pub path: &'static str,
    pub write: bool,
    pub bytes: Option<u64>,
}

/// What guests have as descriptors from 3 on. `granted` holds one that is granted for reading alone, `mixed` one that may be
/// written.
pub const GRANTS: [Grant; 6] = [
    Grant { path: "granted", write: true, bytes: None },
    Grant { path: "readonly", write: false, bytes: None },
    Grant { path: "quota", write: true, bytes: Some(20_000) },
    Grant { path: "granted/sub", write: false, bytes: None },
    Grant { path: "mixed", write: false, bytes: None },
    Grant { path: "mixed/inner", write: true, bytes: None },
];

/// What each entry counts in a quota beside its size.
const ENTRY_BYTES: u64 = 4096;

enum Kind {
    Directory,
    File(String, u32),
    Link(String),
    /// A FIFO or a socket.
    Special(libc::mode_t),
}

/// All that may be seen of an entry but its access time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    size: u64,
    links: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn of(metadata: &fs::Metadata) -> Self {
        Seen {
            inode: metadata.ino(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: metadata.len(),
            links: metadata.nlink(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// What does not depend on what is in it.
    fn itself(&self) -> (u64, u32, (u32, u32)) {
        (self.inode, self.mode, self.owner)
    }
}

/// What guests may do to an entry.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Nothing,
    /// Change what is in it.
    Fill,
    Anything,
}

impl Rule {
    fn of(path: &str) -> Self {
        let written = |grant: &&Grant| grant.write;
        if GRANTS.iter().filter(written).any(|grant| path == grant.path) {
            return Rule::Fill;
        }
        let is_within = |grant: &Grant| path.strip_prefix(grant.path).is_some_and(|rest| rest.starts_with('/'));
        if GRANTS.iter().filter(written).any(is_within) { Rule::Anything } else { Rule::Nothing }
    }
}

struct Entry {
    kind: Kind,
    rule: Rule,
    seen: Option<Seen>,
}

pub struct Outside {
    pub root: PathBuf,
    /// What is there, by path.
    entries: BTreeMap<String, Entry>,
    /// What the quota's directory counted at first.
    quota_bytes: u64,
}

/// Which executors have to be made anew.
#[derive(Default)]
pub struct Restored {
    /// The count of the quota is no longer that of an executor that begins.
    pub quota: bool,
    /// A granted directory is another one.
    pub grant: bool,
}

/// What all granted directories have, beside what is their own.
fn common(root: &str) -> Vec<(&'static str, Kind)> {
    let text = |text: &str| Kind::File(text.repeat(20), 0o644);
    let link = |target: &str| Kind::Link(target.to_owned());
    vec![
        ("file", text("hello ")),
        ("dir", Kind::Directory),
        ("dir/leaf", text("leaf ")),
        ("to_file", link("file")),
        ("empty", Kind::Directory),
        ("out_dir", link("../beside")),
        ("out_file", link("../beside/known")),
        ("to_dir", link("dir")),
        ("up", link("..")),
        ("sealed", Kind::File("sealed".to_owned(), 0o444)),
        ("dir/up", link("../..")),
        ("self", link(".")),
        ("dangling", link("nowhere")),
        ("loop", link("loop")),
        ("loop_a", link("loop_b")),
        ("loop_b", link("loop_a")),
        ("out_new", link("../beside/new")),
        ("out_abs", Kind::Link(format!("{root}/beside/known"))),
        ("out_abs_dir", Kind::Link(format!("{root}/beside"))),
        ("abs_in", Kind::Link(format!("{root}/granted/file"))),
        ("chain", link("chain_2")),
        ("chain_2", link("to_dir/../out_dir")),
        ("up_up", link("dir/../../beside")),
        ("root", link("/")),
    ]
}

impl Outside {
    pub fn new(root: PathBuf) -> Self {
        let secret = || Kind::File(SECRET.repeat(40), 0o644);
        let mut entries = vec![
            ("beside".to_owned(), Kind::Directory),
            ("beside/known".to_owned(), secret()),
            ("beside/dir".to_owned(), Kind::Directory),
            ("beside/dir/known".to_owned(), secret()),
            (format!("beside/{SECRET}"), secret()),
            (format!("beside/dir/{SECRET}"), Kind::Directory),
            (format!("beside/link-{SECRET}"), Kind::Link(format!("known-{SECRET}"))),
        ];
        let text = root.to_str().unwrap().to_owned();
        for (directory, most) in [("granted", 100), ("readonly", 9), ("quota", 6), ("mixed", 6), ("mixed/inner", 9)] {
            entries.push((directory.to_owned(), Kind::Directory));
            let common = common(&text).into_iter().take(most);
            entries.extend(common.map(|(name, kind)| (format!("{directory}/{name}"), kind)));
        }
        let more = |path: &str, kind| (path.to_owned(), kind);
        entries.extend([
            more("granted/sub", Kind::Directory),
            more("granted/sub/file", Kind::File("inside ".repeat(20), 0o644)),
            more("granted/sub/inside", Kind::File("inside ".repeat(20), 0o644)),
            more("granted/sub/out_dir", Kind::Link("../../beside".to_owned())),
            more("granted/sub/up", Kind::Link("..".to_owned())),
            more("granted/fifo", Kind::Special(libc::S_IFIFO)),
            more("granted/socket", Kind::Special(libc::S_IFSOCK)),
            more("readonly/socket", Kind::Special(libc::S_IFSOCK)),
            more("mixed/inner/out_up", Kind::Link("../file".to_owned())),
        ]);
        let entry = |(path, kind): (String, Kind)| {
            let rule = Rule::of(&path);
            (path, Entry { kind, rule, seen: None })
        };
        let mut outside = Outside { root, entries: entries.into_iter().map(entry).collect(), quota_bytes: 0 };
        fs::create_dir_all(&outside.root).unwrap();
        for (path, entry) in &outside.entries {
            entry.kind.make(&outside.root.join(path)).unwrap();
        }
        // Whatever is changed from now on has another time, be the system's clock a coarse one.
        std::thread::sleep(Duration::from_millis(20));
        for (path, entry) in &mut outside.entries {
            entry.seen = Some(seen(&outside.root.join(path)).unwrap());
        }
        outside.quota_bytes = counted(outside.entries.iter().map(|(path, entry)| (path, entry.seen.unwrap())));
        outside
    }

    /// Panics where guests have changed what they may not, and mends what they may.
    pub fn check(&mut self) -> Restored {
        let mut found = Vec::new();
        walk(&self.root, "", &mut found);
        let found: BTreeMap<String, Seen> = found.into_iter().collect();
        let is_as_it_was = |(path, entry): (&String, &Entry)| found.get(path) == entry.seen.as_ref();
        if found.len() == self.entries.len() && self.entries.iter().all(is_as_it_was) {
            self.check_contents();
            return Restored::default();
        }
        for path in found.keys().filter(|path| !self.entries.contains_key(*path)) {
            assert!(Rule::of(path) == Rule::Anything, "{path} is new");
        }
        for (path, entry) in &self.entries {
            let (found, seen) = (found.get(path), entry.seen.as_ref());
            let is_right = match entry.rule {
                Rule::Nothing => found == seen,
                Rule::Fill => found.map(Seen::itself) == seen.map(Seen::itself),
                Rule::Anything => true,
            };
            assert!(is_right, "{path}: {found:?}, not {seen:?}");
        }
        self.check_contents();
        let counted = counted(found.iter().map(|(path, seen)| (path, *seen)));
        let room = GRANTS[2].bytes.unwrap();
        assert!(counted <= self.quota_bytes + room, "{counted} bytes, {} at first", self.quota_bytes);
        self.restore(&found)
    }

    /// The contents of files that nobody may change.
    fn check_contents(&self) {
        for (path, entry) in self.entries.iter().filter(|(_, entry)| entry.rule == Rule::Nothing) {
            // What a link says never changes.
            if let Kind::File(text, _) = &entry.kind {
                assert!(fs::read(self.root.join(path)).unwrap() == text.as_bytes(), "{path}");
            }
        }
    }

    fn restore(&mut self, found: &BTreeMap<String, Seen>) -> Restored {
        let mut restored = Restored::default();
        for path in found.keys().filter(|path| !self.entries.contains_key(*path)) {
            restored.quota |= path.starts_with("quota/");
            remove(&self.root.join(path));
        }
        for (path, entry) in &self.entries {
            let at = self.root.join(path);
            let seen = entry.seen.unwrap();
            let is_directory = matches!(entry.kind, Kind::Directory);
            let is_same = |now: &Seen| {
                if is_directory { now.itself() == seen.itself() } else { *now == seen }
            };
            if found.get(path).is_some_and(is_same) && at.symlink_metadata().is_ok() {
                continue;
            }
            restored.quota |= path.starts_with("quota/");
            restored.grant |= GRANTS.iter().any(|grant| grant.path == path);
            remove(&at);
            entry.kind.make(&at).unwrap();
        }
        for (path, entry) in self.entries.iter_mut() {
            if entry.rule != Rule::Nothing {
                entry.seen = Some(seen(&self.root.join(path)).unwrap());
            }
        }
        restored
    }
}

impl Kind {
    fn make(&self, at: &Path) -> io::Result<()> {
        match self {
            Kind::Directory => fs::create_dir(at),
            Kind::File(text, mode) => {
                fs::write(at, text)?;
                fs::set_permissions(at, fs::Permissions::from_mode(*mode))
            }
            Kind::Link(target) => symlink(target, at),
            Kind::Special(kind) => {
                let path = std::ffi::CString::new(at.to_str().unwrap()).unwrap();
                // SAFETY: the path ends with a NUL.
                match unsafe { libc::mknod(path.as_ptr(), kind | 0o644, 0) } {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            }
        }
    }
}

/// What the quota's directory counts.
fn counted<'a>(found: impl Iterator<Item = (&'a String, Seen)>) -> u64 {
    let mut files = HashSet::new();
    let mut bytes = 0;
    for (_, seen) in found.filter(|(path, _)| path.starts_with("quota/")) {
        let is_new_file = seen.mode & libc::S_IFMT == libc::S_IFREG && files.insert(seen.inode);
        bytes += ENTRY_BYTES + if is_new_file { seen.size } else { 0 };
    }
    bytes
}

fn seen(path: &Path) -> io::Result<Seen> {
    Ok(Seen::of(&path.symlink_metadata()?))
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// All that is in a directory, without following links, directories before what is in them.
fn walk(directory: &Path, prefix: &str, found: &mut Vec<(String, Seen)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if metadata.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found);
        }
        found.push((path, Seen::of(&metadata)));
    }
}
