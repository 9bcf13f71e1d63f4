//! Waiting, as preview 1 has it: for clocks, and for streams, which are always ready.

use super::Stream;
use super::wasi::{Answer, Guest, bounded, clock_now};
use std::time::Duration;
use wasmtime_wasi::p1::types::{Errno, Eventtype, Subclockflags};

/// A subscription has 48 bytes: user data at 0, the kind at 8; for a clock its id at 16, the time at 24 and flags at 40;
/// for a stream the descriptor at 16. An event has 32: user data at 0, error at 8, kind at 10, bytes at 16.
pub(super) fn poll_oneoff(guest: &mut Guest<'_>, subscriptions: u32, events: u32, count: u32, ready: u32) -> Answer {
    const CLOCK: u8 = Eventtype::Clock as u8;
    if count == 0 {
        return Err(Errno::Inval.into());
    }
    let mut clocks = Vec::new();
    let mut happened = Vec::new();
    for index in 0..bounded(count)? {
        let at = u64::from(subscriptions) + u64::from(index) * 48;
        let subscription: [u8; 48] = guest.read(u32::try_from(at).map_err(|_| Errno::Fault)?)?;
        let u32_at = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| subscription[at + i]));
        let mut event = [0; 32];
        event[..8].copy_from_slice(&subscription[..8]);
        event[10] = subscription[8];
        if subscription[8] == CLOCK {
            let time = u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| subscription[24 + i]));
            let is_absolute = u32_at(40) & u32::from(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME.bits()) != 0;
            match clock_now(guest, u32_at(16)) {
                Ok(now) => clocks.push((if is_absolute { time.saturating_sub(now) } else { time }, event)),
                Err(_) => {
                    event[8] = Errno::Inval as u8;
                    happened.push(event);
                }
            }
            continue;
        }
        match guest.stream(u32_at(16)) {
            Ok(Stream::Stdin) => {
                let left = guest.sandbox.stdio.stdin_left().len() as u64;
                event[16..24].copy_from_slice(&left.to_le_bytes());
            }
            Ok(Stream::Stdout | Stream::Stderr) => {}
            // A regular file is always ready.
            Err(_) if guest.sandbox.has_files() => {}
            Err(_) => event[8] = Errno::Badf as u8,
        }
        happened.push(event);
    }
    // A stream is always ready, so that a wait has clocks alone.
    clocks.sort_by_key(|(left, _)| *left);
    if let (true, Some((first, _))) = (happened.is_empty(), clocks.first()) {
        let first = *first;
        guest.sandbox.clock.sleep(&guest.sandbox.deadline, Duration::from_nanos(first))?;
        happened.extend(clocks.iter().take_while(|(left, _)| *left == first).map(|(_, event)| *event));
    } else {
        happened.extend(clocks.iter().take_while(|(left, _)| *left == 0).map(|(_, event)| *event));
    }
    for (index, event) in happened.iter().enumerate() {
        let at = u64::from(events) + index as u64 * 32;
        guest.write(u32::try_from(at).map_err(|_| Errno::Fault)?, event)?;
    }
    guest.write(ready, &(happened.len() as u32).to_le_bytes())
}
