//! `poll_oneoff`: waits for clocks and FIFOs. Streams and regular files are always ready.

use super::clocks::clock_now;
use super::errno::ErrnoResult;
use super::files::{FifoInterest, ready, ready_until};
use super::guest_memory::bounded;
use crate::sandbox::{Guest, Sandbox, Stream};
use crate::sys::Readiness;
use crate::waiting::sleep_until;
use std::collections::HashMap;
use std::time::Duration;
use wasmtime_wasi::p1::types::{Errno, Eventrwflags, Eventtype, Subclockflags};

/// What a guest waits for in one `poll_oneoff`.
struct Wait {
    /// The events that need no wait: something is ready, or the subscription is wrong.
    happened: Vec<[u8; 32]>,
    /// The time left to each clock, in nanoseconds, and its event. The shortest time comes first.
    clocks: Vec<(u64, [u8; 32])>,
    /// Each FIFO once for reading and once for writing, however often the guest has subscribed to it through a
    /// descriptor.
    fifos: Vec<FifoInterest>,
    /// The events of FIFOs, each with the index of its FIFO in `fifos`.
    fifo_events: Vec<(usize, [u8; 32])>,
    /// How long to wait at most; `None` if FIFOs alone end the wait.
    longest: Option<Duration>,
}

/// For guests without files, which have no FIFOs. They sleep on the thread of the call.
pub(super) fn poll_oneoff(
    guest: &mut Guest<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    ready: u32,
) -> ErrnoResult {
    let wait = subscribe(guest, subscriptions, count)?;
    let sandbox = &mut *guest.sandbox;
    if wait.longest.is_none_or(|longest| !longest.is_zero()) {
        sandbox.refuse_in_snapshot("has waited")?;
    }
    sandbox.clock.sleep(&sandbox.deadline, wait.longest.unwrap_or_default())?;
    report(guest, wait, Vec::new(), events, ready)
}

/// For guests on a stack of their own. The wait holds no thread.
pub(super) async fn poll_oneoff_later(
    guest: &mut Guest<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    ready: u32,
) -> ErrnoResult {
    let wait = subscribe(guest, subscriptions, count)?;
    if wait.longest.is_none_or(|longest| !longest.is_zero()) {
        guest.sandbox.refuse_in_snapshot("has waited")?;
    }
    let states = wait.over(guest.sandbox).await?;
    report(guest, wait, states, events, ready)
}

fn is_any(states: &[Readiness]) -> bool {
    states.iter().any(|state| !state.is_none())
}

impl Wait {
    /// Waits until something is ready, and returns the state of each FIFO. The end of the call drops the wait.
    async fn over(&self, sandbox: &mut Sandbox) -> ErrnoResult<Vec<Readiness>> {
        let now = ready(&self.fifos, Duration::ZERO);
        let until = match self.longest {
            _ if is_any(&now) => return Ok(now),
            Some(longest) if longest.is_zero() => return Ok(now),
            Some(longest) => match sandbox.clock.asleep_until(longest) {
                Some(until) => Some(until),
                None => return Ok(now),
            },
            None => None,
        };
        match until {
            Some(until) if self.fifos.is_empty() => {
                sleep_until(until).await;
                Ok(now)
            }
            until => ready_until(&self.fifos, until).await,
        }
    }
}

/// Reads subscriptions of 48 bytes, and makes an event of 32 bytes for each:
///
/// ```text
/// subscription   user data at 0, kind at 8
///   clock        id at 16, time at 24, flags at 40
///   others       descriptor at 16
/// event          user data at 0, error at 8, kind at 10, bytes at 16, flags at 24
/// ```
fn subscribe(guest: &mut Guest<'_>, subscriptions: u32, count: u32) -> ErrnoResult<Wait> {
    const CLOCK: u8 = Eventtype::Clock as u8;
    const READ: u8 = Eventtype::FdRead as u8;
    if count == 0 {
        return Err(Errno::Inval.into());
    }
    let mut clocks = Vec::new();
    let mut happened = Vec::new();
    let (mut fifos, mut fifo_events) = (Vec::new(), Vec::new());
    let mut places = HashMap::new();
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
            guest.sandbox.note_clock();
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
                let left = guest.stdin_left()?;
                event[16..24].copy_from_slice(&left.to_le_bytes());
            }
            Ok(Stream::Stdout | Stream::Stderr) => {}
            Err(_) => {
                let is_read = subscription[8] == READ;
                let wanted = if is_read { Readiness::READABLE } else { Readiness::WRITABLE };
                match guest.fifo_interest(u32_at(16), wanted) {
                    Ok(Some(fifo)) => {
                        let place = *places.entry((u32_at(16), is_read)).or_insert(fifos.len());
                        if place == fifos.len() {
                            fifos.push(fifo);
                        }
                        fifo_events.push((place, event));
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
    // If anything is ready at once, there is no wait.
    let first = if happened.is_empty() { clocks.first().map(|(left, _)| *left) } else { Some(0) };
    let longest = first.map(Duration::from_nanos);
    Ok(Wait { happened, clocks, fifos, fifo_events, longest })
}

/// Writes the events of everything that has happened. `states` are the states of the FIFOs after the wait.
fn report(guest: &mut Guest<'_>, wait: Wait, states: Vec<Readiness>, events: u32, ready: u32) -> ErrnoResult {
    let Wait { mut happened, clocks, fifos, fifo_events, longest } = wait;
    for (place, mut event) in fifo_events {
        let state = states.get(place).copied().unwrap_or(Readiness::NONE);
        if state.is_none() {
            continue;
        }
        event[16..24].copy_from_slice(&fifos[place].bytes().to_le_bytes());
        if state.is_hung_up() {
            event[24..26].copy_from_slice(&Eventrwflags::FD_READWRITE_HANGUP.bits().to_le_bytes());
        }
        happened.push(event);
    }
    let passed = longest.filter(|_| happened.is_empty()).unwrap_or_default();
    let is_due = |left: u64| Duration::from_nanos(left) <= passed;
    happened.extend(clocks.iter().take_while(|(left, _)| is_due(*left)).map(|(_, event)| *event));
    for (index, event) in happened.iter().enumerate() {
        let at = u64::from(events) + index as u64 * 32;
        guest.write(u32::try_from(at).map_err(|_| Errno::Fault)?, event)?;
    }
    guest.write(ready, &(happened.len() as u32).to_le_bytes())
}
