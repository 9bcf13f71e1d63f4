//! `fd_readdir`.

use super::super::errno::ErrnoResult;
use crate::sandbox::files::{LISTED_BYTES, Listing, Listings, sorted};
use crate::sandbox::{Guest, host_io};
use crate::sys::errno;
use cap_std::fs::Dir;
use std::io;
use std::sync::Arc;

/// Fills a buffer with entries, from the one to which `cookie` leads. The last entry may be cut.
pub(super) async fn fd_readdir(
    guest: &mut Guest<'_>,
    fd: u32,
    at: u32,
    len: u32,
    cookie: u64,
    used: u32,
) -> ErrnoResult {
    let dir = guest.directory(fd)?.dir;
    let room = guest.bytes(at, len)?.len();
    guest.bytes(used, 4)?;
    let mut listing = listing(guest, fd, dir, cookie).await?;
    let (mut next, mut filled) = (cookie, 0);
    loop {
        while let Some(entry) = listing.entry(next)
            && filled < room
        {
            let fits = entry.len().min(room - filled);
            guest.write(at + filled as u32, &entry[..fits])?;
            filled += fits;
            next += 1;
        }
        if filled == room || listing.is_over() {
            break;
        }
        // The listing may forget the entries that the guest has by now.
        let (from, left) = (next, room - filled);
        listing = guest.blocking(move || listing.read_on(from, left).map(|()| listing)).await?;
    }
    if let Some(files) = &mut guest.sandbox.files {
        listing.asked = cookie;
        files.listings.keep(fd, listing);
        files.let_go_of_listings();
    }
    guest.write(used, &(filled as u32).to_le_bytes())
}

/// A listing of the directory that has been read up to `cookie`: the one that is kept for the descriptor if it still
/// has `cookie`, or else a new one.
async fn listing(guest: &mut Guest<'_>, fd: u32, dir: Arc<Dir>, cookie: u64) -> io::Result<Listing> {
    let kept = guest.sandbox.files.as_mut().and_then(|files| files.listings.take(fd));
    let kept = kept.filter(|kept| cookie > 0 && cookie >= kept.first && Arc::ptr_eq(&kept.dir, &dir));
    let policy = guest.sandbox.policy.clone();
    let mut listing = if let Some(kept) = kept {
        kept
    } else if policy.deterministic.is_some() {
        let left = guest.sandbox.files.as_mut().map_or(0, |files| {
            files.listings.forget(LISTED_BYTES / 2);
            LISTED_BYTES.saturating_sub(files.listings.bytes())
        });
        let names = match sorted(&policy, dir.clone(), left).await {
            Err(error) if error.raw_os_error() == Some(errno::ENOMEM) => {
                guest.sandbox.files.iter_mut().for_each(|files| files.listings = Listings::default());
                sorted(&policy, dir.clone(), LISTED_BYTES).await?
            }
            names => names?,
        };
        Listing::in_order(dir, names)
    } else {
        host_io::blocking(policy.clone(), move || Listing::as_stored(dir)).await?
    };
    if listing.end() < cookie {
        let passes = move |listing: &mut Listing| {
            listing.read_on(listing.end(), usize::MAX)?;
            Ok(listing.end() >= cookie || listing.is_over())
        };
        listing = host_io::in_pieces(&policy, listing, passes).await?;
    }
    Ok(listing)
}
