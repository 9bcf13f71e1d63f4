//! Waiting, as preview 1 has it: for clocks, for FIFOs, and for streams and files, which are always ready.

use super::Stream;
use super::files;
use super::guest::{Answer, Guest, bounded};
use super::wasi::clock_now;
use rustix::event::PollFlags;
use std::time::Duration;
use wasmtime_wasi::p1::types::{Errno, Eventrwflags, Eventtype, Subclockflags};

/// A subscription has 48 bytes: user data at 0, the kind at 8; for a clock its id at 16, the time at 24 and flags at 40;
/// for the others the descriptor at 16. An event has 32: user data at 0, error at 8, kind at 10, bytes at 16, flags at 24.
pub(super) fn poll_oneoff(guest: &mut Guest<'_>, subscriptions: u32, events: u32, count: u32, ready: u32) -> Answer {
    const CLOCK: u8 = Eventtype::Clock as u8;
    const READ: u8 = Eventtype::FdRead as u8;
    if count == 0 {
        return Err(Errno::Inval.into());
    }
    let mut clocks = Vec::new();
    let mut happened = Vec::new();
    let (mut fifos, mut fifo_events) = (Vec::new(), Vec::new());
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
            Err(_) => {
                let wanted = if subscription[8] == READ { PollFlags::IN } else { PollFlags::OUT };
                match guest.waiting(u32_at(16), wanted) {
                    Ok(Some(fifo)) => {
                        fifos.push(fifo);
                        fifo_events.push(event);
                        continue;
                    }
                    // A regular file is always ready.
                    Ok(None) => {}
                    Err(_) => event[8] = Errno::Badf as u8,
                }
            }
        }
        happened.push(event);
    }
    clocks.sort_by_key(|(left, _)| *left);
    // What is ready at once leaves nothing to wait for.
    let first = if happened.is_empty() { clocks.first().map(|(left, _)| *left) } else { Some(0) };
    let mut states = Vec::new();
    let sandbox = &mut *guest.sandbox;
    sandbox.clock.wait(&sandbox.deadline, first.map(Duration::from_nanos), |patience| {
        states = files::ready(&fifos, patience);
        states.iter().any(|state| !state.is_empty())
    })?;
    for ((fifo, mut event), state) in fifos.iter().zip(fifo_events).zip(states).filter(|(_, state)| !state.is_empty()) {
        event[16..24].copy_from_slice(&fifo.bytes().to_le_bytes());
        if state.intersects(PollFlags::HUP | PollFlags::ERR) {
            event[24..26].copy_from_slice(&Eventrwflags::FD_READWRITE_HANGUP.bits().to_le_bytes());
        }
        happened.push(event);
    }
    let passed = if happened.is_empty() { first.unwrap_or(0) } else { 0 };
    happened.extend(clocks.iter().take_while(|(left, _)| *left <= passed).map(|(_, event)| *event));
    for (index, event) in happened.iter().enumerate() {
        let at = u64::from(events) + index as u64 * 32;
        guest.write(u32::try_from(at).map_err(|_| Errno::Fault)?, event)?;
    }
    guest.write(ready, &(happened.len() as u32).to_le_bytes())
}
