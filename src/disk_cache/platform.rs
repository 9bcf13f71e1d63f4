//! The platform's cache directory, as far as this process may let its environment choose it.

use crate::warnings::{About, warn};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `arawn` in the platform's cache directory. There is none where the environment is not this user's own, or where root
/// would write into what belongs to another user.
pub(crate) fn directory() -> Option<PathBuf> {
    let refused = |reason: &str| {
        warn(About::DiskCache, format!("compiled code is kept between processes with a `cache_dir` alone: {reason}"));
        None
    };
    if is_secure() {
        return refused("the process has rights that its caller has not, and the environment is the caller's");
    }
    let directory = dirs::cache_dir()?.join("arawn");
    match rustix::process::geteuid().is_root().then(|| foreign(&directory)).flatten() {
        Some(foreign) => refused(&format!("{} is not root's", foreign.display())),
        None => Some(directory),
    }
}

/// Whether the process is setuid, setgid or has gained capabilities: its caller may be less trusted than it is.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "libc's getauxval is the only way to learn it")]
fn is_secure() -> bool {
    // SAFETY: the function takes a number and reads what the kernel gave the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_secure() -> bool {
    rustix::process::getuid() != rustix::process::geteuid() || rustix::process::getgid() != rustix::process::getegid()
}

/// A directory on the way to a path that belongs to another user than root, who may decide what is at the path.
fn foreign(path: &Path) -> Option<PathBuf> {
    let is_foreign = |path: &&Path| {
        [fs::symlink_metadata(path), fs::metadata(path)].into_iter().flatten().any(|metadata| metadata.uid() != 0)
    };
    // Both ways: links on the first one may lead anywhere.
    let real = path.ancestors().find_map(|path| path.canonicalize().ok());
    let ways = [Some(path), real.as_deref()];
    ways.into_iter().flatten().flat_map(Path::ancestors).find(is_foreign).map(Path::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    #[test]
    fn root_is_told_whose_directories_are_on_the_way() {
        if !rustix::process::geteuid().is_root() {
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
}
