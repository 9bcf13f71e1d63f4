//! Where an open directory is, as the kernel tells below `/proc`.

use crate::sys::types::InFileSystem;
use rustix::fs::{AtFlags, StatxFlags, statx};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The ID of the mount through which a directory was opened; `None` before Linux 5.8.
pub(crate) fn mount_of(dir: &impl AsFd) -> io::Result<Option<u64>> {
    let stat = statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    let Some(stat) = unless_exhausted(stat.map_err(io::Error::from))? else { return Ok(None) };
    let is_told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    Ok(is_told.then_some(stat.stx_mnt_id))
}

/// `None` where the system does not tell, and an error where it has run out of something and might have told.
fn unless_exhausted<T>(told: io::Result<T>) -> io::Result<Option<T>> {
    match told {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => Ok(None),
        told => told.map(Some),
    }
}

pub(crate) fn in_file_system(dir: &impl AsFd, path: &Path) -> io::Result<Option<InFileSystem>> {
    let Some(mount) = mount_of(dir)? else { return Ok(None) };
    let mounts = unless_exhausted(fs::read("/proc/self/mountinfo"))?;
    Ok(mounts.and_then(|mounts| shown_by(mount, &mounts, path)))
}

fn shown_by(mount: u64, mounts: &[u8], path: &Path) -> Option<InFileSystem> {
    let mount = mount.to_string();
    let mut lines = mounts.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b' '));
    // The fields of a line of mountinfo, see proc(5): mount ID, parent ID, device, the directory in the device's file
    // system that the mount shows, the path at which the mount is.
    let mut fields = lines.find_map(|mut fields| (fields.next()? == mount.as_bytes()).then_some(fields))?.skip(1);
    let (device, shown, at) = (fields.next()?, unescaped(fields.next()?), unescaped(fields.next()?));
    let below = path.strip_prefix(at).ok()?;
    Some((String::from_utf8_lossy(device).into_owned(), shown.join(below)))
}

/// Decodes a path of mountinfo, in which the kernel writes spaces, tabs, newlines and backslashes as `\` and three
/// octal digits.
fn unescaped(mut field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        let digits = rest.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match digits {
            Some(digits) => {
                path.push(digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
                field = &rest[3..];
            }
            None => {
                path.push(*first);
                field = rest;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

pub(crate) fn path_now(dir: &impl AsFd) -> io::Result<Option<PathBuf>> {
    unless_exhausted(fs::read_link(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lists_is_read() {
        assert_eq!(unescaped(br"/a\040b\134c\011"), Path::new("/a b\\c\t"));
        assert_eq!(unescaped(br"/a\04"), Path::new(r"/a\04"));
    }
}
