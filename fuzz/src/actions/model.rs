//! What is known of the world before an action, and which replies it allows.

use super::super::abi::Reply;
use super::decode::{Action, BUILT_IN, CATALOGS, Callback, Config, Look, RUNTIMES, SLOTS, Slot, catalog_of};
use super::guests::{Guest, Kind};
use super::world::{Entries, Entry, File, QUEUE, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// A reply that is allowed.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// Any output.
    Ok,
    Output(Value),
    /// The output of a guest that asks: an answer with this word, or a refusal.
    Asked(String),
    Refused,
    /// A runtime's own error.
    Fails(String),
    Exit(i64),
    Code(&'static str),
    /// The same, once the call's time is over.
    Late(&'static str),
}

impl Want {
    pub fn fits(&self, reply: &Reply, is_late: bool) -> bool {
        match self {
            Want::Ok => reply.ok().is_some(),
            Want::Output(output) => reply.ok() == Some(output),
            Want::Asked(word) => reply.ok() == Some(&json!({"status": "ok", "output": word})),
            Want::Refused => reply.ok().is_some_and(|output| output["code"] == "host_function_failed"),
            Want::Fails(word) => reply.code() == "runtime_error" && reply.value["error"] == **word,
            Want::Exit(code) => reply.code() == "exit" && reply.value["details"]["exit_code"] == *code,
            Want::Code(code) => reply.code() == *code,
            Want::Late(code) => is_late && reply.code() == *code,
        }
    }
}

/// Whether one of these is such a reply.
pub fn allow(wants: &[Want], reply: &Reply, is_late: bool) -> bool {
    wants.iter().any(|want| want.fits(reply, is_late))
}

/// A submitted call whose reply was not handed out.
#[derive(Clone, Debug)]
pub struct Job {
    pub runtime: usize,
    pub wants: Vec<Want>,
    pub until: Instant,
}

/// An executor, if there is one.
#[derive(Clone, Debug)]
pub struct Executor {
    pub config: Config,
    pub jobs: BTreeMap<String, Job>,
    pub function: Option<(Callback, bool)>,
    /// Whether a guest has run, which takes processor time.
    pub is_used: bool,
}

pub struct Model {
    pub world: World,
    pub slots: [Option<Executor>; SLOTS],
    pub entries: [Entries; CATALOGS],
    pub broken: [bool; CATALOGS],
    /// Which guest has a hash.
    pub pins: HashMap<String, Guest>,
    /// The deadlines of calls that may still run when their executor was closed.
    pub left: Vec<Instant>,
}

/// All that is done at the same time, and what the catalogs had before.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    pub actions: &'a [&'a Action],
    pub is_block: bool,
}

impl<'a> Around<'a> {
    pub const NOTHING: Around<'static> = Around { actions: &[], is_block: false };

    pub fn any(self, is: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(|action| is(action))
    }

    /// Whether another thread may break or mend a catalog meanwhile.
    fn may_change(self, catalog: usize) -> bool {
        let changes = |action: &Action| matches!(action, Action::Break { catalog: c } | Action::Mend { catalog: c } if *c == catalog);
        self.is_block && self.any(changes)
    }

    /// What other threads do meanwhile.
    fn others(self) -> Self {
        if self.is_block { self } else { Around::NOTHING }
    }
}

impl Executor {
    pub fn new(config: Config) -> Self {
        Executor { config, jobs: BTreeMap::new(), function: None, is_used: false }
    }
}

impl Model {
    pub fn new(world: World) -> Self {
        let entries = std::array::from_fn(|catalog| world.entries(catalog).unwrap());
        let (pins, left) = (HashMap::new(), Vec::new());
        Model { world, slots: [const { None }; SLOTS], entries, broken: [false; CATALOGS], pins, left }
    }

    /// Looks at the catalogs as they are on disk now.
    pub fn look(&mut self) {
        for catalog in 0..CATALOGS {
            let entries = self.world.entries(catalog);
            self.broken[catalog] = entries.is_none();
            match entries {
                Some(entries) => self.entries[catalog] = entries,
                // The last good one is served, with the files as they are.
                None => {
                    for entry in self.entries[catalog].values_mut() {
                        entry.file = self.world.content(catalog, &entry.path);
                    }
                }
            }
        }
    }

    /// Whether there may be that executor, and whether there may be none.
    fn exists(&self, slot: Slot, around: Around<'_>) -> (bool, bool) {
        let is_open = self.slots[slot].is_some();
        let is_made =
            around.is_block && around.any(|action| matches!(action, Action::New { slot: s, .. } if *s == slot));
        let is_closed =
            around.is_block && around.any(|action| matches!(action, Action::Close { slot: s } if *s == slot));
        (is_open || is_made, !is_open || is_closed)
    }

    /// The executors that a name may stand for.
    fn executors(&self, slot: Slot, around: Around<'_>) -> Vec<Executor> {
        let made = around.actions.iter().filter_map(|action| match action {
            Action::New { slot: s, config } if *s == slot && around.is_block => Some(Executor::new(*config)),
            _ => None,
        });
        self.slots[slot].clone().into_iter().chain(made).collect()
    }

    pub fn open_jobs(&self) -> usize {
        let now = Instant::now();
        let left = self.left.iter().filter(|until| **until + Duration::from_secs(1) > now).count();
        self.slots.iter().flatten().map(|executor| executor.jobs.len()).sum::<usize>() + left
    }

    /// What a name may stand for while that is done.
    pub fn possible(&self, catalog: usize, runtime: usize, around: Around<'_>) -> Vec<Option<Entry>> {
        let before = self.entries[catalog].get(RUNTIMES[runtime]);
        let mut possible = vec![before.cloned()];
        // A pin that a registration gives stands for its guest whatever its text.
        let registered = |guest: Guest| Entry { path: String::new(), pin: None, file: File::Guest(guest) };
        for action in around.actions {
            match action {
                Action::Register { slot, runtime: r, guest, .. } if catalog_of(*slot) == catalog && *r == runtime => {
                    possible.push(Some(registered(*guest)));
                }
                Action::Remove { slot, runtime: r } if catalog_of(*slot) == catalog && *r == runtime => {
                    possible.push(None);
                }
                Action::Replace { catalog: c, runtime: r, guest, in_place } if (*c, *r) == (catalog, runtime) => {
                    let Some(before) = before else { continue };
                    possible.push(Some(Entry { file: File::Guest(*guest), ..before.clone() }));
                    if *in_place {
                        possible.push(Some(Entry { file: File::Torn, ..before.clone() }));
                    }
                }
                Action::Delete { catalog: c, runtime: r } if (*c, *r) == (catalog, runtime) => {
                    possible.extend(before.map(|before| Some(Entry { file: File::Missing, ..before.clone() })));
                }
                _ => {}
            }
        }
        possible
    }

    /// How a call of a runtime may end.
    pub fn outcomes(&self, executor: &Executor, slot: Slot, runtime: usize, around: Around<'_>) -> Vec<Want> {
        let catalog = catalog_of(slot);
        let possible = self.possible(catalog, runtime, around);
        let mut wants = Vec::new();
        for entry in &possible {
            let Some(entry) = entry else {
                wants.push(Want::Code("unknown_runtime"));
                continue;
            };
            let pinned = entry.pin.as_ref().map(|pin| self.pins[pin]);
            match (entry.file, pinned) {
                (File::Missing, _) => wants.push(Want::Code("runtime_unavailable")),
                (File::Torn, _) => {
                    // It may be seen to change while it is read.
                    wants.extend([Want::Code("module_invalid"), Want::Code("runtime_unavailable")]);
                    wants.extend(pinned.map(|_| Want::Code("hash_mismatch")));
                }
                (File::Guest(guest), Some(pinned)) if pinned != guest => {
                    wants.push(Want::Code("hash_mismatch"));
                    // A change within the clock's granularity may go unnoticed, and what is pinned is known.
                    if guest.bytes().len() == pinned.bytes().len() {
                        wants.extend(self.of_guest(executor, slot, pinned, around));
                    }
                }
                (File::Guest(guest), _) => wants.extend(self.of_guest(executor, slot, guest, around)),
            }
        }
        // A file may be replaced once its new place in the catalog pins it.
        let is_written = |action: &Action| matches!(action, Action::Replace { catalog: c, runtime: r, .. } if (*c, *r) == (catalog, runtime));
        let is_registered = |action: &Action| matches!(action, Action::Register { slot, runtime: r, .. } if (catalog_of(*slot), *r) == (catalog, runtime));
        if around.any(is_written) && around.any(is_registered) {
            wants.push(Want::Code("hash_mismatch"));
        }
        let is_deleted = |action: &Action| matches!(action, Action::Delete { catalog: c, runtime: r } if (*c, *r) == (catalog, runtime));
        if around.any(is_deleted) {
            wants.push(Want::Code("runtime_unavailable"));
        }
        wants.push(Want::Late("timeout"));
        // While it waits for a slot, or for the processor time of the next second.
        if around.is_block || self.open_jobs() > 0 || executor.config.cpu_ms_per_s.is_some() {
            wants.push(Want::Late("overloaded"));
        }
        if executor.config.cpu_ms_per_s.is_some() && (executor.is_used || around.is_block) {
            wants.push(Want::Code("overloaded"));
        }
        wants
    }

    fn of_guest(&self, executor: &Executor, slot: Slot, guest: Guest, around: Around<'_>) -> Vec<Want> {
        let config = &executor.config;
        let is_busy = around.is_block || self.open_jobs() > 0;
        let word = guest.word();
        let answer = Want::Output(json!(word));
        let mut wants = match guest.kind {
            Kind::Answer | Kind::Nap | Kind::Stderr | Kind::Component => vec![answer],
            Kind::Bounds | Kind::Unreachable | Kind::Division | Kind::Recursion => vec![Want::Code("trap")],
            // Which ends with its deadline alone.
            Kind::Loop => Vec::new(),
            Kind::Sleep if config.is_deterministic => vec![answer],
            Kind::Sleep => Vec::new(),
            Kind::Grow => vec![Want::Code("memory_exceeded")],
            Kind::Stdout if config.output_bytes.is_some() => vec![Want::Code("output_too_large")],
            Kind::Stdout => vec![Want::Output(json!("a".repeat(8192)))],
            Kind::Ask => self.of_asking(executor, slot, &word, around),
            Kind::Write | Kind::Read => self.of_files(config, guest, is_busy),
            Kind::Exit => vec![Want::Exit(3)],
            Kind::Fails => vec![Want::Fails(word)],
            Kind::Malformed => vec![Want::Code("malformed_output")],
            Kind::NoWasm | Kind::NoImport => return vec![Want::Code("module_invalid")],
        };
        if config.memory_total_bytes.is_some() && is_busy {
            wants.push(Want::Code("memory_exceeded"));
        }
        if config.fuel.is_some() && matches!(guest.kind, Kind::Loop | Kind::Recursion) {
            wants.push(Want::Code("fuel_exhausted"));
        }
        wants
    }

    fn of_asking(&self, executor: &Executor, slot: Slot, word: &str, around: Around<'_>) -> Vec<Want> {
        if !executor.config.has_function {
            return vec![Want::Refused];
        }
        let is_set = |action: &Action| matches!(action, Action::SetFunction { slot: s, .. } | Action::Close { slot: s } if *s == slot);
        if around.any(is_set) || around.is_block && self.slots[slot].is_none() {
            return vec![Want::Asked(word.to_owned()), Want::Refused];
        }
        match executor.function {
            None | Some((Callback::Fails, _)) => vec![Want::Refused],
            // A guest is refused at once what only the thread that waits for it would run.
            Some((_, true)) => vec![Want::Asked(word.to_owned()), Want::Refused],
            Some((_, false)) => vec![Want::Asked(word.to_owned())],
        }
    }

    fn of_files(&self, config: &Config, guest: Guest, is_busy: bool) -> Vec<Want> {
        let error = |number: u32| Want::Output(json!(format!("e{number:02}")));
        let (no_entry, not_permitted, not_capable) = (44, 63, 76);
        let written = Want::Output(json!(guest.word()));
        match (config.directory, guest.kind) {
            (None, _) => vec![error(not_capable)],
            (Some(true), Kind::Write) => vec![written],
            (Some(false), Kind::Write) => vec![error(not_permitted)],
            // Somebody may write meanwhile.
            _ if is_busy => {
                let mut wants = vec![error(no_entry), Want::Output(json!(""))];
                wants.extend(
                    (0..=u8::MAX)
                        .map(Guest::of)
                        .filter(|guest| guest.kind == Kind::Write)
                        .map(|guest| Want::Output(json!(guest.word()))),
                );
                wants
            }
            _ => vec![self.world.note().map_or(error(no_entry), |note| Want::Output(json!(note)))],
        }
    }

    /// The replies that an action may have, while others are done at the same time.
    pub fn wants(&self, action: &Action, around: Around<'_>) -> Vec<Want> {
        let mut wants = Vec::new();
        match action {
            Action::New { slot, config } => {
                if config.is_wrong {
                    return vec![Want::Code("invalid_config")];
                }
                let (may, may_not) = self.exists(*slot, around);
                let may_too =
                    around.is_block && around.any(|action| matches!(action, Action::New { slot: s, .. } if s == slot));
                let catalog = catalog_of(*slot);
                let moves = |action: &Action| matches!(action, Action::Move);
                let (is_broken, is_moved) = (self.broken[catalog], config.directory.is_some() && self.world.is_moved());
                let changes = around.may_change(catalog);
                let moves = around.is_block && config.directory.is_some() && around.any(moves);
                if is_broken || changes {
                    wants.push(Want::Code("catalog_invalid"));
                }
                if is_broken && !changes {
                    return wants;
                }
                if is_moved || moves {
                    wants.push(Want::Code("invalid_config"));
                }
                if is_moved && !moves {
                    return wants;
                }
                wants
                    .extend((may && (self.slots[*slot].is_some() || may_too)).then_some(Want::Code("executor_exists")));
                wants.extend(may_not.then_some(Want::Ok));
                return wants;
            }
            _ => {
                let Some(slot) = slot_of(action) else { return wants };
                let (may, may_not) = self.exists(slot, around);
                wants.extend(may_not.then_some(Want::Code("unknown_executor")));
                if !may {
                    return wants;
                }
            }
        }
        match action {
            Action::Execute { slot, runtime, job, ms } => {
                for executor in self.executors(*slot, around) {
                    if *ms > executor.config.timeout_ms {
                        wants.push(Want::Code("invalid_request"));
                        continue;
                    }
                    let is_taken = job.is_some_and(|job| executor.jobs.contains_key(job));
                    if is_taken || around.is_block && job.is_some() {
                        wants.push(Want::Code("job_exists"));
                    }
                    if around.is_block && job.is_some() {
                        wants.push(Want::Code("cancelled"));
                    }
                    if !is_taken || around.is_block {
                        wants.extend(self.outcomes(&executor, *slot, *runtime, around));
                    }
                }
            }
            Action::Submit { slot, job, ms, .. } => {
                for executor in self.executors(*slot, around) {
                    if *ms > executor.config.timeout_ms {
                        wants.push(Want::Code("invalid_request"));
                        continue;
                    }
                    let count = executor.jobs.len();
                    let may_be_full = count == QUEUE || around.is_block && count + around.actions.len() >= QUEUE;
                    if may_be_full || executor.config.reply_bytes.is_some() && (count > 0 || around.is_block) {
                        wants.push(Want::Code("overloaded"));
                    }
                    if count == QUEUE && !around.is_block {
                        continue;
                    }
                    let is_taken = job.is_some_and(|job| executor.jobs.contains_key(job));
                    if is_taken || around.is_block && job.is_some() {
                        wants.push(Want::Code("job_exists"));
                    }
                    if !is_taken || around.is_block {
                        wants.push(Want::Ok);
                    }
                }
            }
            Action::Poll { slot, job, .. } => {
                let known =
                    |job: &str| self.executors(*slot, around).iter().any(|executor| executor.jobs.contains_key(job));
                match job {
                    Some(job) if around.is_block => {
                        let _ = job;
                        wants.extend([Want::Ok, Want::Code("unknown_job")]);
                    }
                    Some(job) if !known(job) => wants.push(Want::Code("unknown_job")),
                    _ => wants.push(Want::Ok),
                }
            }
            Action::Cancel { slot, job } => {
                // It may have ended.
                wants.push(Want::Code("unknown_job"));
                if around.is_block || self.slots[*slot].as_ref().unwrap().jobs.contains_key(*job) {
                    wants.push(Want::Ok);
                }
            }
            Action::Register { slot, runtime, guest, replace } => {
                let catalog = catalog_of(*slot);
                if *runtime == BUILT_IN {
                    wants.push(Want::Code("builtin_runtime"));
                    return wants;
                }
                let changes = around.may_change(catalog);
                let possible = self.possible(catalog, *runtime, around.others());
                let (may, may_not) = (possible.iter().any(Option::is_some), possible.iter().any(Option::is_none));
                if may && !replace {
                    wants.push(Want::Code("runtime_exists"));
                }
                if may_not || *replace {
                    wants.push(Want::Late("timeout"));
                    if !guest.is_valid() {
                        wants.push(Want::Code("module_invalid"));
                    } else {
                        if self.broken[catalog] || changes {
                            wants.push(Want::Code("catalog_invalid"));
                        }
                        if !self.broken[catalog] || changes {
                            wants.push(Want::Ok);
                        }
                    }
                }
            }
            Action::Remove { slot, runtime } => {
                let catalog = catalog_of(*slot);
                if *runtime == BUILT_IN {
                    wants.push(Want::Code("builtin_runtime"));
                    return wants;
                }
                let changes = around.may_change(catalog);
                wants.push(Want::Late("timeout"));
                if self.broken[catalog] || changes {
                    wants.push(Want::Code("catalog_invalid"));
                }
                if !self.broken[catalog] || changes {
                    let possible = self.possible(catalog, *runtime, around.others());
                    wants.extend(possible.iter().any(Option::is_some).then_some(Want::Ok));
                    wants.extend(possible.iter().any(Option::is_none).then_some(Want::Code("unknown_runtime")));
                }
            }
            Action::Look { slot, look: Look::Inspect(runtime) } => {
                let possible = self.possible(catalog_of(*slot), *runtime, around);
                wants.extend(possible.iter().any(Option::is_some).then_some(Want::Ok));
                wants.extend(possible.iter().any(Option::is_none).then_some(Want::Code("unknown_runtime")));
            }
            Action::SetFunction { slot, .. } => {
                for executor in self.executors(*slot, around) {
                    wants.push(if executor.config.has_function { Want::Ok } else { Want::Code("invalid_request") });
                }
            }
            _ => wants.push(Want::Ok),
        }
        wants
    }

    /// Adds to the jobs under way what may become of them while that is done, or now that it was.
    pub fn extend_jobs(&mut self, around: Around<'_>) {
        for slot in 0..SLOTS {
            let Some(executor) = self.slots[slot].clone() else { continue };
            for (name, job) in &executor.jobs {
                let more = self.outcomes(&executor, slot, job.runtime, around);
                let is_cancelled =
                    around.any(|action| matches!(action, Action::Cancel { slot: s, job } if *s == slot && job == name));
                let job = self.slots[slot].as_mut().unwrap().jobs.get_mut(name).unwrap();
                for want in more.into_iter().chain(is_cancelled.then_some(Want::Code("cancelled"))) {
                    if !job.wants.contains(&want) {
                        job.wants.push(want);
                    }
                }
            }
        }
    }

    /// Whether every guest that a name may stand for ends soon, so that asking it again with more time must help.
    pub fn is_quick(&self, slot: Slot, runtime: usize) -> bool {
        let entry = self.entries[catalog_of(slot)].get(RUNTIMES[runtime]);
        let config = self.slots[slot].as_ref().unwrap().config;
        config.cpu_ms_per_s.is_none()
            && self.open_jobs() == 0
            && entry.is_none_or(|entry| !matches!(entry.file, File::Guest(guest) if !guest.is_quick()))
    }
}

/// The executor that an action is about.
pub fn slot_of(action: &Action) -> Option<Slot> {
    match action {
        Action::New { slot, .. }
        | Action::Close { slot }
        | Action::Execute { slot, .. }
        | Action::Submit { slot, .. }
        | Action::Poll { slot, .. }
        | Action::Cancel { slot, .. }
        | Action::Register { slot, .. }
        | Action::Remove { slot, .. }
        | Action::Look { slot, .. }
        | Action::SetFunction { slot, .. }
        | Action::Drain { slot } => Some(*slot),
        _ => None,
    }
}
