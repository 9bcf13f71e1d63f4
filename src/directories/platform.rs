//! The platform's cache directory. The environment names it, so it is used only if the environment is this user's own
//! and no other user decides what is there.

use crate::sys;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

/// The path of `arawn` in the platform's cache directory, or the reason why there is none. Both are found once, when
/// the process first asks.
pub(crate) static PLATFORM_CACHE: LazyLock<Result<PathBuf, String>> = LazyLock::new(directory);

/// The most links that are followed in one path, as many as Linux follows (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// The path of `arawn` in the platform's cache directory, or the reason why there is none:
///
/// - the system cannot tell who may write there;
/// - the environment is not this user's own;
/// - neither the environment nor the system says where this user's files are;
/// - the user is root, and another user decides what is there.
fn directory() -> Result<PathBuf, String> {
    sys::CACHES?;
    if sys::is_elevated() {
        let reason = "the process has more rights than its caller, so the caller's environment is not trusted";
        return Err(reason.to_owned());
    }
    // A relative path would depend on the working directory of the process.
    let directory = dirs::cache_dir().filter(|directory| directory.is_absolute());
    let directory = directory
        .ok_or("neither the environment nor the system names a home directory of this user; set `cache_dir`")?;
    let directory = directory.join("arawn");
    match sys::is_root().then(|| foreign(&directory)).flatten() {
        Some(foreign) => Err(format!("{} can be changed by users other than root", foreign.display())),
        None => Ok(directory),
    }
}

/// The first thing on the way to `path` that may let a user other than root decide what is at `path`:
///
/// - a directory or a link that belongs to another user;
/// - a directory that others may write, unless it is sticky;
/// - something that root cannot look at.
///
/// A name that is missing lets nobody else decide: root creates it.
fn foreign(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut left: VecDeque<OsString> = parts(&path).collect();
    let (mut at, mut links) = (PathBuf::new(), 0);
    while let Some(part) = left.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        // `part` is `/` where the target of a link is absolute; `join` then starts anew.
        let next = at.join(part);
        let metadata = match fs::symlink_metadata(&next) {
            Ok(metadata) if !sys::is_foreign(&metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                at = next;
                continue;
            }
            _ => return Some(next),
        };
        if !metadata.is_symlink() {
            at = next;
            continue;
        }
        links += 1;
        match fs::read_link(&next) {
            Ok(target) if links <= MOST_LINKS => parts(&target).rev().for_each(|part| left.push_front(part)),
            _ => return Some(next),
        }
    }
    None
}

/// The steps of a path. The first step of an absolute path is `/`.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    #[test]
    fn root_is_told_whose_directories_are_on_the_way() {
        if !sys::is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let [bobs, own] = ["bobs", "own"].map(|name| place.path().join(name));
        fs::create_dir_all(bobs.join("cache")).unwrap();
        fs::create_dir_all(own.join("cache")).unwrap();
        symlink(own.join("cache"), bobs.join("link")).unwrap();
        symlink(bobs.join("cache"), own.join("link")).unwrap();
        chown(&bobs, Some(1234), None).unwrap();
        assert_eq!(foreign(&own.join("cache/arawn")), None);
        for path in [bobs.join("cache/arawn"), bobs.join("link/arawn"), own.join("link/arawn")] {
            assert_eq!(foreign(&path), Some(bobs.clone()), "{}", path.display());
        }
    }

    #[test]
    fn root_is_told_whose_links_are_on_the_way() {
        if !sys::is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let [bobs, own, shared] = ["bobs", "own", "shared"].map(|name| place.path().join(name));
        for directory in [&bobs, &own, &shared] {
            fs::create_dir_all(directory.join("cache")).unwrap();
        }
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        // Each path leads from root's own directory through a link of another directory, and back.
        symlink(own.join("cache"), bobs.join("hop")).unwrap();
        symlink(own.join("cache"), shared.join("hop")).unwrap();
        symlink(bobs.join("hop"), own.join("to bob")).unwrap();
        symlink("../shared/./hop", own.join("to shared")).unwrap();
        symlink("round", own.join("round")).unwrap();
        assert_eq!(foreign(&own.join("to bob/arawn")), None);
        assert_eq!(foreign(&own.join("to shared/arawn")), None);
        assert_eq!(foreign(&own.join("missing/../cache/arawn")), None);
        assert_eq!(foreign(&own.join("round/arawn")), Some(own.join("round")));
        for name in [&bobs, &shared.join("hop")] {
            lchown(name, Some(1234), None).unwrap();
        }
        assert_eq!(foreign(&own.join("to bob/arawn")), Some(bobs.clone()));
        assert_eq!(foreign(&own.join("missing/../../bobs/cache/arawn")), Some(bobs));
        assert_eq!(foreign(&own.join("to shared/arawn")), Some(shared.join("hop")));
    }

    #[test]
    fn root_is_told_which_directories_others_may_write() {
        if !sys::is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let open = place.path().join("open");
        fs::create_dir_all(open.join("cache")).unwrap();
        for (mode, expected) in [(0o1777, None), (0o777, Some(open.clone())), (0o775, None)] {
            fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(foreign(&open.join("cache/arawn")), expected, "{mode:o}");
        }
    }
}
