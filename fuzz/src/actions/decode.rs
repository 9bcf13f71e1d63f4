//! The language of actions, and how bytes are read as it.

use super::guests::Guest;
use arbitrary::{Result, Unstructured};

/// Which executor there is to act on, and of which catalog it is: see [`catalog_of`].
pub type Slot = usize;
pub const SLOTS: usize = 3;
pub const CATALOGS: usize = 2;
pub const CACHES: usize = 2;

/// The names of runtimes: of those in the catalogs from the beginning, one that is not, and one that is built in.
pub const RUNTIMES: [&str; 8] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "passthrough"];
pub const BUILT_IN: usize = 7;
/// How many of them the catalogs have from the beginning.
pub const FIRST_RUNTIMES: usize = 6;
const JOBS: [&str; 3] = ["a", "b", "c"];
const TIMES_MS: [u64; 4] = [5, 10, 20, 30];
/// The names of signals that are blocked: of faults, of traps, and others.
const SIGNALS: [&[libc::c_int]; 8] = [
    &[],
    &[libc::SIGSEGV],
    &[libc::SIGFPE],
    &[libc::SIGILL],
    &[libc::SIGTRAP, libc::SIGBUS],
    &[libc::SIGSEGV, libc::SIGFPE, libc::SIGILL],
    &[libc::SIGUSR1, libc::SIGPROF],
    &[],
];

pub fn catalog_of(slot: Slot) -> usize {
    slot / 2
}

/// What an executor is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub timeout_ms: u64,
    pub calls: Option<usize>,
    pub reply_bytes: Option<u64>,
    pub memory_total_bytes: Option<u64>,
    pub cpu_ms_per_s: Option<u64>,
    pub output_bytes: Option<u64>,
    pub fuel: Option<u64>,
    pub is_deterministic: bool,
    /// Whether a directory is granted, and may be written.
    pub directory: Option<bool>,
    pub has_function: bool,
    pub cache: Option<usize>,
    /// A key that there is not.
    pub is_wrong: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    Answers,
    /// Answers after some milliseconds.
    Waits,
    /// Calls a runtime of the same executor first.
    Nests,
    /// Returns NULL.
    Fails,
    /// Returns NULL, and another thread answers.
    Defers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Cut,
    Garbage,
    Empty,
    /// The content of another file of the kind.
    Swapped,
    OpenToOthers,
    Link,
    Directory,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    List,
    Inspect(usize),
    Stats,
}

#[derive(Clone, Debug)]
pub enum Action {
    New {
        slot: Slot,
        config: Config,
    },
    Close {
        slot: Slot,
    },
    Execute {
        slot: Slot,
        runtime: usize,
        job: Option<&'static str>,
        ms: u64,
    },
    Submit {
        slot: Slot,
        runtime: usize,
        job: Option<&'static str>,
        ms: u64,
    },
    Poll {
        slot: Slot,
        job: Option<&'static str>,
        wait_ms: u64,
    },
    Cancel {
        slot: Slot,
        job: &'static str,
    },
    Register {
        slot: Slot,
        runtime: usize,
        guest: Guest,
        replace: bool,
    },
    Remove {
        slot: Slot,
        runtime: usize,
    },
    Look {
        slot: Slot,
        look: Look,
    },
    SetFunction {
        slot: Slot,
        callback: Option<Callback>,
        on_poll: bool,
    },
    /// Puts another module into the file of an entry, by a rename or in place.
    Replace {
        catalog: usize,
        runtime: usize,
        guest: Guest,
        in_place: bool,
    },
    Delete {
        catalog: usize,
        runtime: usize,
    },
    Break {
        catalog: usize,
    },
    Mend {
        catalog: usize,
    },
    /// Damages every file of a cache with that ending.
    Damage {
        cache: usize,
        damage: Damage,
        seals: bool,
    },
    /// Renames the granted directory away, or back.
    Move,
    Mask {
        signals: &'static [libc::c_int],
        all: bool,
    },
    /// Polls until no submitted call is left.
    Drain {
        slot: Slot,
    },
    /// What some threads do at the same time.
    Together(Vec<Vec<Action>>),
}

/// A sequence: what the first runtimes are, the first executors, and what is done.
#[derive(Debug)]
pub struct Sequence {
    pub first: Vec<Guest>,
    pub configs: [Config; 2],
    pub actions: Vec<Action>,
}

const LONGEST: usize = 40;

impl Sequence {
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let mut bytes = Unstructured::new(bytes);
        let first = (0..FIRST_RUNTIMES).map(|_| guest(&mut bytes)).collect::<Result<_>>()?;
        let configs = [config(&mut bytes)?, config(&mut bytes)?];
        let mut actions = Vec::new();
        let mut left = LONGEST;
        while left > 0 && !bytes.is_empty() {
            let action = action(&mut bytes, true)?;
            left = left.saturating_sub(match &action {
                Action::Together(threads) => threads.iter().map(Vec::len).sum(),
                _ => 1,
            });
            actions.push(action);
        }
        Ok(Sequence { first, configs, actions })
    }
}

fn below(bytes: &mut Unstructured<'_>, bound: usize) -> Result<usize> {
    bytes.int_in_range(0..=bound as u8 - 1).map(usize::from)
}

fn guest(bytes: &mut Unstructured<'_>) -> Result<Guest> {
    bytes.arbitrary().map(Guest::of)
}

fn config(bytes: &mut Unstructured<'_>) -> Result<Config> {
    let [limits, rest]: [u8; 2] = [bytes.arbitrary()?, bytes.arbitrary()?];
    let is = |byte: u8, bits: u8| byte & bits == bits;
    Ok(Config {
        timeout_ms: if is(limits, 1 | 8) { 15 } else { 2000 },
        calls: [None, None, Some(1), Some(2)][usize::from(limits >> 1 & 3)],
        reply_bytes: is(limits, 8 | 2).then_some(100),
        memory_total_bytes: is(limits, 16).then_some(1 << 20),
        cpu_ms_per_s: is(limits, 32 | 4).then_some(1),
        output_bytes: is(limits, 64).then_some(4096),
        fuel: is(limits, 128 | 1).then_some(1_000_000),
        is_deterministic: is(limits, 128 | 2),
        directory: [None, Some(true), Some(true), Some(false)][usize::from(rest & 3)],
        has_function: is(rest, 4),
        cache: [None, Some(0), Some(1), Some(0)][usize::from(rest >> 3 & 3)],
        is_wrong: is(rest, 128 | 64 | 32),
    })
}

fn action(bytes: &mut Unstructured<'_>, may_be_together: bool) -> Result<Action> {
    let choice = below(bytes, 32)?;
    if choice >= 29 && may_be_together {
        let threads = 2 + below(bytes, 2)?;
        let thread = |bytes: &mut Unstructured<'_>| {
            (0..1 + below(bytes, 4)?).map(|_| action(bytes, false)).collect::<Result<Vec<_>>>()
        };
        let mut threads = (0..threads).map(|_| thread(bytes)).collect::<Result<Vec<_>>>()?;
        make_clear(&mut threads);
        return Ok(Action::Together(threads));
    }
    let job = |bytes: &mut Unstructured<'_>| Ok([Some("a"), Some("b"), Some("c"), None][below(bytes, 4)?]);
    let mut slot = || Ok([0, 0, 0, 1, 1, 2][below(bytes, 6)?]);
    Ok(match choice {
        0 => Action::New { slot: slot()?, config: config(bytes)? },
        1 => Action::Close { slot: slot()? },
        2..=6 => Action::Execute {
            slot: slot()?,
            runtime: below(bytes, BUILT_IN)?,
            job: [None, None, None, Some("a")][below(bytes, 4)?],
            ms: TIMES_MS[below(bytes, TIMES_MS.len())?],
        },
        7..=12 => Action::Submit {
            slot: slot()?,
            runtime: below(bytes, BUILT_IN)?,
            job: job(bytes)?,
            ms: TIMES_MS[below(bytes, TIMES_MS.len())?],
        },
        13..=15 => Action::Poll { slot: slot()?, job: job(bytes)?, wait_ms: [0, 0, 2, 8][below(bytes, 4)?] },
        16 => Action::Cancel { slot: slot()?, job: JOBS[below(bytes, JOBS.len())?] },
        17 | 18 => Action::Register {
            slot: slot()?,
            runtime: below(bytes, RUNTIMES.len())?,
            guest: guest(bytes)?,
            replace: below(bytes, 3)? > 0,
        },
        19 => Action::Remove { slot: slot()?, runtime: below(bytes, RUNTIMES.len())? },
        20 => Action::Look {
            slot: slot()?,
            look: match below(bytes, 4)? {
                0 => Look::List,
                1 => Look::Stats,
                _ => Look::Inspect(below(bytes, BUILT_IN)?),
            },
        },
        21 => {
            let (slot, callback) = (slot()?, below(bytes, 12)?);
            let callbacks = [Callback::Answers, Callback::Waits, Callback::Nests, Callback::Fails].map(Some);
            let callbacks = [callbacks.as_slice(), &[None, Some(Callback::Defers)]].concat();
            Action::SetFunction { slot, callback: callbacks[callback / 2], on_poll: callback % 2 == 1 }
        }
        22 | 23 => Action::Replace {
            catalog: below(bytes, CATALOGS)?,
            runtime: below(bytes, BUILT_IN)?,
            guest: guest(bytes)?,
            in_place: choice == 23,
        },
        24 => Action::Delete { catalog: below(bytes, CATALOGS)?, runtime: below(bytes, BUILT_IN)? },
        25 => match below(bytes, 4)? {
            0 => Action::Break { catalog: 0 },
            1 => Action::Break { catalog: 1 },
            catalog => Action::Mend { catalog: catalog - 2 },
        },
        26 => {
            const DAMAGES: [Damage; 8] = [
                Damage::Cut,
                Damage::Garbage,
                Damage::Empty,
                Damage::Swapped,
                Damage::OpenToOthers,
                Damage::Link,
                Damage::Directory,
                Damage::Gone,
            ];
            let damage = DAMAGES[below(bytes, DAMAGES.len())?];
            Action::Damage { cache: below(bytes, CACHES)?, damage, seals: below(bytes, 3)? == 0 }
        }
        27 => Action::Move,
        28 => {
            let signals = below(bytes, SIGNALS.len())?;
            Action::Mask { signals: SIGNALS[signals], all: signals + 1 == SIGNALS.len() }
        }
        _ => Action::Drain { slot: slot()? },
    })
}

/// Leaves no more open than the model can tell afterwards: which configuration an executor was made with, and whose text of a
/// catalog was overwritten by somebody who edits it without its lock.
fn make_clear(threads: &mut [Vec<Action>]) {
    let mut configs = [None; SLOTS];
    let mut is_registered = [false; CATALOGS];
    for action in threads.iter_mut().flatten() {
        match action {
            Action::New { slot, config } if !config.is_wrong => *config = *configs[*slot].get_or_insert(*config),
            Action::Register { slot, .. } | Action::Remove { slot, .. } => is_registered[catalog_of(*slot)] = true,
            _ => {}
        }
    }
    for thread in threads {
        thread.retain(|action| match action {
            Action::Break { catalog } | Action::Mend { catalog } => !is_registered[*catalog],
            _ => true,
        });
    }
}
