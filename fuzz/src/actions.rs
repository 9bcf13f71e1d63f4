//! Sequences of actions, some of them done by several threads at once, checked against a model.
//!
//! The model knows which executors there are, what is in the catalogs and in each module's file, and which submitted calls
//! are open. Before an action it says which replies are allowed; a reply that is not one of these is a fault. What several
//! threads do at once may happen in any order, and each of their replies must be allowed in one of them. At the end
//! everything is closed, and nothing may be left.

mod decode;
mod guests;
mod model;
mod world;

use super::abi::{self, Reply};
use decode::{Action, CACHES, CATALOGS, Look, RUNTIMES, SLOTS, Sequence, Slot, catalog_of};
use guests::Guest;
use model::{Around, Executor, Job, Model, Want, allow, slot_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};
use world::{Census, Entries, File, LATE, TWICE, Told, World};

/// `bytes` are a sequence.
pub fn run(bytes: &[u8]) {
    let Ok(sequence) = Sequence::of(bytes) else { return };
    world::configure();
    LazyLock::force(&BEFORE);
    Run::new(&sequence).all(&sequence, Some(&BEFORE));
}

/// What this process has open once it has done a bit of everything.
static BEFORE: LazyLock<Census> = LazyLock::new(|| {
    let warm_up = Sequence::warm_up();
    Run::new(&warm_up).all(&warm_up, None);
    Census::take()
});

/// Descriptors that may be open besides: what the runtimes of the library's own threads open when they are first needed.
const MORE_DESCRIPTORS: usize = 12;
/// Workers, the ticker, those that look up and compile, the compiler's own, those for files, and the tests'.
const MOST_THREADS: usize = 60;
/// How much later than its deadline a call may end, on a machine that is idle.
const GRACE: Duration = Duration::from_millis(50);
/// How long anything may take to end that has no reason to go on.
const PATIENCE: Duration = Duration::from_secs(1);

/// A sequence under way.
struct Run {
    model: Model,
    story: Story,
    /// Files that the sequence itself has made in the catalogs.
    ours: BTreeSet<PathBuf>,
}

/// What was done so far, for whoever reads of a fault.
#[derive(Default)]
struct Story {
    lines: Vec<String>,
    is_told: bool,
}

/// Gives each reply a call of its own that may have been answered so. Calls of one name may end in any order where threads
/// poll at once, so an earlier reply may have to take another call: bipartite matching, by Kuhn's algorithm.
struct Answers {
    /// Of each reply the calls that it may answer.
    answering: Vec<Vec<usize>>,
    /// The reply of each call.
    of_call: Vec<Option<usize>>,
}

impl Answers {
    /// Adds a reply that may answer these calls. False if there is no call for it.
    fn add(&mut self, calls: Vec<usize>) -> bool {
        self.answering.push(calls);
        self.assign(self.answering.len() - 1, &mut vec![false; self.of_call.len()])
    }

    fn assign(&mut self, reply: usize, seen: &mut [bool]) -> bool {
        for call in self.answering[reply].clone() {
            if std::mem::replace(&mut seen[call], true) {
                continue;
            }
            let is_free = match self.of_call[call] {
                None => true,
                Some(other) => self.assign(other, seen),
            };
            if is_free {
                self.of_call[call] = Some(reply);
                return true;
            }
        }
        false
    }
}

impl Story {
    #[track_caller]
    fn fail(&mut self, what: &str) -> ! {
        self.is_told = true;
        panic!("{what}\nafter\n{}", self.lines.join("\n"))
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_told {
            eprintln!("after\n{}", self.lines.join("\n"));
        }
    }
}

impl Run {
    fn new(sequence: &Sequence) -> Self {
        let model = Model::new(World::new(&sequence.first));
        let first = |catalog| {
            let place = model.world.catalog(catalog);
            model.entries[catalog].values().map(move |entry| place.join(&entry.path)).collect::<Vec<_>>()
        };
        let ours = (0..CATALOGS).flat_map(first).collect();
        let lines = vec![format!("first {:?}", sequence.first)];
        Run { model, story: Story { lines, is_told: false }, ours }
    }

    fn all(mut self, sequence: &Sequence, before: Option<&Census>) {
        for (slot, config) in sequence.configs.into_iter().enumerate() {
            self.step(&Action::New { slot, config });
        }
        for action in &sequence.actions {
            self.step(action);
        }
        world::set_mask(&[], false);
        self.end(before);
    }

    fn step(&mut self, action: &Action) {
        self.model.left.retain(|until| until.elapsed() < PATIENCE);
        match action {
            Action::Together(threads) => self.together(threads),
            Action::Drain { slot } => self.drain(*slot),
            action => self.alone(action),
        }
        if LATE.load(Ordering::SeqCst) > 0 {
            self.story.fail("a callback ran after it was unset");
        }
        if TWICE.load(Ordering::SeqCst) > 0 {
            self.story.fail("a call was answered twice");
        }
    }

    /// An action that nothing else is done beside, but for the calls that were submitted.
    fn alone(&mut self, action: &Action) {
        self.story.lines.push(format!("{action:?}"));
        self.note_ours(action);
        self.model.extend_jobs(Around { actions: &[action], is_block: false });
        let wants = self.model.wants(action, Around::NOTHING);
        let told = self.model.world.perform(action, &self.model.entries);
        self.tell(&told);
        if let Some(reply) = &told.reply {
            let is_late = told.took() >= self.time_of(action);
            if !allow(&wants, reply, is_late) {
                self.story.fail(&format!("not one of {wants:?}"));
            }
        }
        let before = self.model.entries.clone();
        if changes_catalogs(action) {
            self.model.look();
        }
        self.settle(action, &told, &before, &wants);
        self.model.extend_jobs(Around::NOTHING);
    }

    fn tell(&mut self, told: &Told) {
        if let (Some(line), Some(reply)) = (self.story.lines.last_mut(), &told.reply) {
            *line += &format!(" -> {} in {:?}", shortened(&reply.text), told.took());
        }
    }

    fn note_ours(&mut self, action: &Action) {
        if let Action::Replace { catalog, runtime, .. } = action
            && let Some(entry) = self.model.entries[*catalog].get(RUNTIMES[*runtime])
        {
            self.ours.insert(self.model.world.catalog(*catalog).join(&entry.path));
        }
    }

    /// How long an action may take.
    fn time_of(&self, action: &Action) -> Duration {
        let own = slot_of(action).and_then(|slot| self.model.slots[slot].as_ref());
        let own = own.map_or(u64::MAX, |executor| executor.config.timeout_ms);
        let ms = match action {
            Action::Execute { ms, .. } | Action::Submit { ms, .. } => own.min(*ms),
            Action::Poll { wait_ms, .. } => *wait_ms,
            Action::Register { .. } => world::REGISTER_MS,
            _ => own,
        };
        Duration::from_millis(ms)
    }

    /// What follows from a reply that is allowed.
    fn settle(&mut self, action: &Action, told: &Told, before: &[Entries; CATALOGS], wants: &[Want]) {
        let Some(reply) = &told.reply else { return };
        let is_ok = reply.ok().is_some();
        match action {
            Action::New { slot, config } if is_ok => {
                self.model.slots[*slot] = Some(Executor::new(*config));
            }
            Action::Close { slot } if is_ok => {
                let closed = self.model.slots[*slot].take().unwrap();
                self.model.left.extend(closed.jobs.values().map(|job| job.until));
                world::forget_function(*slot);
            }
            Action::Execute { slot, runtime, .. } if reply.code() != "unknown_executor" => {
                self.in_time(action, told);
                if reply.code() == "timeout" && self.model.is_quick(*slot, *runtime) {
                    self.answers_with_more_time(action, wants);
                }
                self.model.slots[*slot].as_mut().unwrap().is_used = true;
            }
            Action::Submit { slot, runtime, .. } if is_ok => {
                let name = reply.expect_ok()["job"].as_str().unwrap().to_owned();
                let job = self.job(action, *slot, *runtime, told, Around::NOTHING);
                let executor = self.model.slots[*slot].as_mut().unwrap();
                executor.is_used = true;
                if executor.jobs.insert(name, job).is_some() {
                    self.story.fail("the name is taken");
                }
            }
            Action::Poll { slot, job, .. } if is_ok => {
                let handed = handed_out(*job, reply);
                self.handed(*slot, handed);
            }
            Action::Register { slot, runtime, guest, .. } => {
                let (catalog, name) = (catalog_of(*slot), RUNTIMES[*runtime]);
                if is_ok {
                    let pin = reply.expect_ok()["pin"].as_str().unwrap().to_owned();
                    let is_there = self.model.entries[catalog]
                        .get(name)
                        .is_some_and(|entry| entry.file == File::Guest(*guest) && entry.pin.as_deref() == Some(&pin));
                    self.model.pins.insert(pin, *guest);
                    if !is_there {
                        self.story.fail("what was registered is not there");
                    }
                } else if self.model.entries != *before {
                    self.story.fail("what was not registered has changed the catalog");
                }
            }
            Action::Remove { slot, runtime } => {
                let (catalog, name) = (catalog_of(*slot), RUNTIMES[*runtime]);
                if is_ok && self.model.entries[catalog].contains_key(name) {
                    self.story.fail("what was removed is there");
                }
                if !is_ok && self.model.entries != *before {
                    self.story.fail("what was not removed has changed the catalog");
                }
            }
            Action::Look { slot, look } if is_ok => self.looked(*slot, *look, reply),
            Action::SetFunction { slot, callback, on_poll } if is_ok => {
                self.model.slots[*slot].as_mut().unwrap().function = callback.map(|callback| (callback, *on_poll));
            }
            _ => {}
        }
    }

    fn job(&self, action: &Action, slot: Slot, runtime: usize, told: &Told, around: Around<'_>) -> Job {
        let (executor, until) = (self.model.slots[slot].as_ref(), told.begun + self.time_of(action));
        let mut wants = executor.map_or_else(Vec::new, |executor| self.model.outcomes(executor, slot, runtime, around));
        wants.push(Want::Late("overloaded"));
        Job { runtime, wants, until }
    }

    /// A call must end soon after its deadline: one of three does where the machine delays any of them.
    fn in_time(&mut self, action: &Action, told: &Told) {
        let allowed = self.time_of(action);
        if told.took() <= allowed + GRACE + told.waited + 2 * world::lateness_since(told.begun) {
            return;
        }
        let mut took = vec![told.took()];
        for _ in 0..3 {
            let waited = world::all_waited();
            let again = self.model.world.perform(action, &self.model.entries);
            let waited = world::all_waited().saturating_sub(waited);
            if again.took() <= allowed + GRACE + waited {
                return;
            }
            took.push(again.took());
        }
        self.story.fail(&format!("took {took:?}, with a deadline of {allowed:?}"));
    }

    /// A call of a guest that ends soon must not end with its deadline whenever it is made.
    fn answers_with_more_time(&mut self, action: &Action, wants: &[Want]) {
        let Action::Execute { slot, runtime, .. } = action else { return };
        let own = self.model.slots[*slot].as_ref().map_or(u64::MAX, |executor| executor.config.timeout_ms);
        let longer = Action::Execute { slot: *slot, runtime: *runtime, job: None, ms: own.min(500) };
        let mut begun = Instant::now();
        // The executor's own deadline may be short.
        while begun.elapsed() < PATIENCE {
            let told = self.model.world.perform(&longer, &self.model.entries);
            let reply = told.reply.as_ref().unwrap();
            if reply.code() != "timeout" {
                if !allow(wants, reply, false) {
                    self.story.fail(&format!("with more time it answers {}, not one of {wants:?}", reply.text));
                }
                return;
            }
            // A compile takes what the machine leaves it, and goes on behind its call.
            if reply.value["details"]["phase"] == "load" {
                begun = Instant::now();
            }
        }
        self.story.fail("a guest that ends soon has never ended");
    }

    fn handed(&mut self, slot: Slot, handed: Vec<(String, Reply)>) {
        for (name, reply) in handed {
            let Some(job) = self.model.slots[slot].as_mut().unwrap().jobs.remove(&name) else {
                self.story.fail(&format!("the reply of {name} was handed out before, or it was never submitted"));
            };
            if !allow(&job.wants, &reply, Instant::now() >= job.until) {
                self.story.fail(&format!("{name} answers {}, not one of {:?}", shortened(&reply.text), job.wants));
            }
        }
    }

    fn looked(&mut self, slot: Slot, look: Look, reply: &Reply) {
        let (output, entries) = (reply.expect_ok(), &self.model.entries[catalog_of(slot)]);
        match look {
            Look::List => {
                let listed = output["runtimes"].as_array().unwrap().iter();
                let custom = listed.filter(|runtime| runtime["category"] == "custom");
                let names: Vec<_> = custom.map(|runtime| runtime["name"].as_str().unwrap()).collect();
                if !names.iter().eq(entries.keys()) {
                    self.story.fail(&format!("not {:?}", entries.keys()));
                }
            }
            Look::Inspect(runtime) => {
                let entry = &entries[RUNTIMES[runtime]];
                let pinned = entry.pin.as_ref().map(|pin| self.model.pins[pin]);
                let code = match (entry.file, pinned) {
                    (File::Missing, _) => json!("runtime_unavailable"),
                    (File::Guest(guest), Some(pinned)) if guest != pinned => json!("hash_mismatch"),
                    (File::Guest(guest), _) if guest.is_valid() => Value::Null,
                    _ => json!("module_invalid"),
                };
                if output["problem"]["code"] != code && !(code == "hash_mismatch" && output["problem"].is_null()) {
                    self.story.fail(&format!("the problem is {code}"));
                }
            }
            Look::Stats => {
                let catalog = &output["executor"]["catalog"];
                if catalog["problem"].is_null() == self.model.broken[catalog_of(slot)] {
                    self.story.fail("the catalog's problem is another one");
                }
            }
        }
    }

    /// Polls until no submitted call of an executor is left.
    fn drain(&mut self, slot: Slot) {
        self.story.lines.push(format!("Drain {slot}"));
        let begun = Instant::now();
        loop {
            let Some(executor) = &self.model.slots[slot] else { return };
            if executor.jobs.is_empty() {
                return;
            }
            if begun.elapsed() > PATIENCE {
                let open = format!("{:?} never end", executor.jobs);
                self.story.fail(&open);
            }
            let poll = Action::Poll { slot, job: None, wait_ms: 8 };
            let told = self.model.world.perform(&poll, &self.model.entries);
            let reply = told.reply.as_ref().unwrap();
            self.handed(slot, handed_out(None, reply));
        }
    }

    /// Actions of several threads at the same time.
    fn together(&mut self, threads: &[Vec<Action>]) {
        let actions: Vec<&Action> = threads.iter().flatten().collect();
        let around = Around { actions: &actions, is_block: true };
        for action in &actions {
            self.note_ours(action);
        }
        self.model.extend_jobs(around);
        let wants: Vec<_> = actions.iter().map(|action| self.model.wants(action, around)).collect();
        let (world, entries) = (&self.model.world, &self.model.entries);
        let barrier = Barrier::new(threads.len());
        let one = |thread: &[Action]| -> Vec<Told> {
            barrier.wait();
            thread.iter().map(|action| world.perform(action, entries)).collect()
        };
        let one = &one;
        let told: Vec<Told> = std::thread::scope(|scope| {
            let threads: Vec<_> = threads.iter().map(|thread| scope.spawn(move || one(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        self.story.lines.push("together".to_owned());
        let mut index = 0;
        for (number, thread) in threads.iter().enumerate() {
            for action in thread {
                self.story.lines.push(format!("    {number}: {action:?}"));
                self.tell(&told[index]);
                index += 1;
            }
        }
        // Calls that were submitted, and replies that were handed out, of each executor.
        let mut submitted: [Vec<(String, Job)>; SLOTS] = Default::default();
        let mut handed: [Vec<(String, Reply)>; SLOTS] = Default::default();
        let (mut made, mut closed) = ([None; SLOTS], [0; SLOTS]);
        let mut balance: [i32; SLOTS] = std::array::from_fn(|slot| self.model.slots[slot].is_some().into());
        for ((action, told), wants) in actions.iter().zip(&told).zip(&wants) {
            let Some(reply) = &told.reply else { continue };
            let slot = slot_of(action).unwrap();
            // The executor may be another one by then, with a shorter deadline.
            let is_late = told.took() >= self.time_of(action).min(Duration::from_millis(5));
            if !allow(wants, reply, is_late) {
                self.story.fail(&format!("{action:?} answers {}, not one of {wants:?}", shortened(&reply.text)));
            }
            match action {
                Action::New { config, .. } if reply.ok().is_some() => {
                    made[slot] = Some(*config);
                    balance[slot] += 1;
                }
                Action::Close { .. } if reply.ok().is_some() => {
                    closed[slot] += 1;
                    balance[slot] -= 1;
                }
                Action::Submit { runtime, ms, .. } if reply.ok().is_some() => {
                    let name = reply.expect_ok()["job"].as_str().unwrap().to_owned();
                    let mut job = self.job(action, slot, *runtime, told, around);
                    for made in actions.iter().filter_map(|action| match action {
                        Action::New { slot: s, config } if *s == slot => Some(Executor::new(*config)),
                        _ => None,
                    }) {
                        job.wants.extend(self.model.outcomes(&made, slot, *runtime, around));
                        job.until =
                            job.until.min(told.begun + Duration::from_millis((*ms).min(made.config.timeout_ms)));
                    }
                    if around
                        .any(|action| matches!(action, Action::Cancel { slot: s, job } if *s == slot && *job == name))
                    {
                        job.wants.push(Want::Code("cancelled"));
                    }
                    submitted[slot].push((name, job));
                }
                Action::Poll { job, .. } if reply.ok().is_some() => handed[slot].extend(handed_out(*job, reply)),
                Action::Register { guest, .. } if reply.ok().is_some() => {
                    let pin = reply.expect_ok()["pin"].as_str().unwrap().to_owned();
                    self.model.pins.insert(pin, *guest);
                }
                Action::Execute { .. } => {
                    let allowed = self.time_of(action).max(Duration::from_millis(30));
                    if told.took() > allowed + 6 * GRACE + told.waited + 4 * world::lateness_since(told.begun) {
                        self.story.fail(&format!("{action:?} took {:?}", told.took()));
                    }
                }
                _ => {}
            }
        }
        self.look_after(around);
        for slot in 0..SLOTS {
            let is_open = abi::call(arawn::ffi::arawn_stats, &json!({"executor": format!("e{slot}")})).ok().is_some();
            if balance[slot] != i32::from(is_open) {
                self.story.fail(&format!("e{slot} was made and closed {}, and is open: {is_open}", balance[slot]));
            }
            let is_contended = made[slot].is_some() || closed[slot] > 0;
            let is_set = around.any(|action| matches!(action, Action::SetFunction { slot: s, .. } if *s == slot));
            self.settle_jobs(
                slot,
                std::mem::take(&mut submitted[slot]),
                std::mem::take(&mut handed[slot]),
                made[slot].filter(|_| is_contended),
                is_open,
                is_contended,
            );
            if let Some(executor) = &mut self.model.slots[slot] {
                executor.is_used = true;
                if (is_set || is_contended) && executor.config.has_function {
                    self.alone(&Action::SetFunction { slot, callback: None, on_poll: false });
                }
            } else if is_contended {
                world::forget_function(slot);
            }
        }
        self.model.extend_jobs(Around::NOTHING);
    }

    /// Looks at the catalogs after some threads have changed them: whatever is there, one of them has put there.
    fn look_after(&mut self, around: Around<'_>) {
        let possible: Vec<Vec<_>> = (0..CATALOGS)
            .map(|catalog| (0..RUNTIMES.len()).map(|runtime| self.model.possible(catalog, runtime, around)).collect())
            .collect();
        self.model.look();
        for (catalog, possible) in possible.iter().enumerate() {
            for (runtime, possible) in possible.iter().enumerate() {
                let is_possible = match self.model.entries[catalog].get(RUNTIMES[runtime]) {
                    None => possible.iter().any(Option::is_none),
                    Some(entry) => possible.iter().flatten().any(|other| {
                        other.file == entry.file
                            || entry.file == File::Missing
                                && around.any(|action| matches!(action, Action::Delete { .. }))
                    }),
                };
                if !is_possible {
                    let found = self.model.entries[catalog].get(RUNTIMES[runtime]);
                    let found = format!("catalog {catalog} has {found:?}, not one of {possible:?}");
                    self.story.fail(&found);
                }
            }
        }
    }

    /// Sees that each call which was accepted was handed out once at most, and what is left of them.
    fn settle_jobs(
        &mut self,
        slot: Slot,
        submitted: Vec<(String, Job)>,
        handed: Vec<(String, Reply)>,
        made: Option<decode::Config>,
        is_open: bool,
        is_contended: bool,
    ) {
        let before = self.model.slots[slot].take();
        let config = made.or(before.as_ref().map(|before| before.config));
        let function = before.as_ref().and_then(|before| before.function);
        let all: Vec<(String, Job)> = before.into_iter().flat_map(|before| before.jobs).chain(submitted).collect();
        let mut answers = Answers { answering: Vec::new(), of_call: vec![None; all.len()] };
        let take = |story: &mut Story, answers: &mut Answers, name: &str, reply: &Reply| {
            let now = Instant::now();
            let fits = |(other, job): &(String, Job)| other == name && allow(&job.wants, reply, now >= job.until);
            if !answers.add((0..all.len()).filter(|call| fits(&all[*call])).collect()) {
                story.fail(&format!("{name} was answered {}, not one of {all:?}", shortened(&reply.text)));
            }
        };
        for (name, reply) in &handed {
            take(&mut self.story, &mut answers, name, reply);
        }
        let left =
            |answers: &Answers| (0..all.len()).filter(|call| answers.of_call[*call].is_none()).collect::<Vec<_>>();
        let untils = |calls: &[usize]| calls.iter().map(|call| all[*call].1.until).collect::<Vec<_>>();
        if !is_open {
            self.model.left.extend(untils(&left(&answers)));
            return;
        }
        let mut executor = Executor::new(config.unwrap());
        executor.function = function;
        if is_contended {
            // Some of them went with an executor that was closed.
            let last = untils(&left(&answers)).into_iter().max();
            let poll = Action::Poll { slot, job: None, wait_ms: 2 };
            while !left(&answers).is_empty() && last.is_some_and(|last| Instant::now() < last + GRACE) {
                let told = self.model.world.perform(&poll, &self.model.entries);
                for (name, reply) in handed_out(None, told.reply.as_ref().unwrap()) {
                    take(&mut self.story, &mut answers, &name, &reply);
                }
            }
            self.model.left.extend(untils(&left(&answers)));
            self.model.slots[slot] = Some(executor);
            return;
        }
        let open = all.into_iter().zip(answers.of_call).filter(|(_, answer)| answer.is_none());
        for ((name, job), _) in open {
            if let Some(other) = executor.jobs.insert(name.clone(), job) {
                self.story.fail(&format!("two calls have the name {name}: one was {other:?}"));
            }
        }
        self.model.slots[slot] = Some(executor);
    }

    /// Closes everything. Nothing may be left.
    fn end(mut self, before: Option<&Census>) {
        for catalog in 0..CATALOGS {
            self.alone(&Action::Mend { catalog });
        }
        for slot in 0..SLOTS {
            // In some sequences they end by themselves, in others they are stopped.
            if !self.story.lines.len().is_multiple_of(4) {
                let names: Vec<_> =
                    self.model.slots[slot].iter().flat_map(|executor| executor.jobs.keys().cloned()).collect();
                for job in ["a", "b", "c"].into_iter().filter(|job| names.iter().any(|name| name == job)) {
                    self.alone(&Action::Cancel { slot, job });
                }
            }
            self.drain(slot);
            if self.model.slots[slot].is_some() {
                self.alone(&Action::Close { slot });
            }
        }
        let begun = Instant::now();
        let is_fine = |census: &Census| {
            let descriptors =
                before.is_none_or(|before| census.other_descriptors() <= before.other_descriptors() + MORE_DESCRIPTORS);
            census.is_idle() && descriptors && census.threads <= MOST_THREADS
        };
        loop {
            let census = Census::take();
            if is_fine(&census) {
                break;
            }
            if begun.elapsed() > PATIENCE {
                self.story.fail(&format!("{census:?} is left, before it was {before:?}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.files_are_fine();
        // What is compiled for a call that has ended may be written until now.
        while fs::remove_dir_all(&self.model.world.place).is_err() {
            if begun.elapsed() > PATIENCE {
                self.story.fail("the directory is written to again and again");
            }
        }
    }

    /// No file is left that nothing needs, and none beside the sequence's directory.
    fn files_are_fine(&mut self) {
        let names = |path: PathBuf| -> BTreeSet<PathBuf> {
            fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        };
        let world = &self.model.world;
        let mut wrong = Vec::new();
        for catalog in 0..CATALOGS {
            let place = world.catalog(catalog);
            let entries = world.entries(catalog).unwrap();
            let used: BTreeSet<_> = entries.values().map(|entry| place.join(&entry.path)).collect();
            wrong.extend(
                names(place.join("custom"))
                    .into_iter()
                    .filter(|path| !used.contains(path) && !self.ours.contains(path)),
            );
            let known = [".catalog.lock", "builtin", "catalog.toml", "custom"];
            wrong.extend(
                names(place.clone()).into_iter().filter(|path| !known.iter().any(|known| path.ends_with(known))),
            );
        }
        for cache in 0..CACHES {
            for directory in names(world.cache(cache)) {
                wrong.extend(
                    names(directory).into_iter().filter(|path| path.extension().is_some_and(|end| end == "tmp")),
                );
            }
        }
        wrong.extend(names(abi::scratch().to_owned()).into_iter().filter(|path| *path != world.place));
        if !wrong.is_empty() {
            self.story.fail(&format!("{wrong:?} are left"));
        }
    }
}

/// The replies in what a poll answers.
fn handed_out(job: Option<&str>, polled: &Reply) -> Vec<(String, Reply)> {
    let Some(output) = polled.ok() else { return Vec::new() };
    let one = |job: &Value| (job["job"].as_str().unwrap().to_owned(), abi::checked(job["reply"].to_string()));
    match job {
        None => output["finished"].as_array().unwrap().iter().map(one).collect(),
        Some(name) => {
            assert_eq!(output["job"], name);
            match output["state"].as_str().unwrap() {
                "finished" => vec![one(output)],
                "queued" | "running" => Vec::new(),
                state => panic!("{state}"),
            }
        }
    }
}

fn changes_catalogs(action: &Action) -> bool {
    use Action::{Break, Delete, Mend, Register, Remove, Replace};
    matches!(action, Register { .. } | Remove { .. } | Replace { .. } | Delete { .. } | Break { .. } | Mend { .. })
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

impl Sequence {
    /// One of each kind of thing that the library opens something for.
    fn warm_up() -> Self {
        let bytes: Vec<u8> = [17_u8, 11, 12, 13, 10, 6].into_iter().chain([0, 4 | 1 | 8, 0, 0]).collect();
        let mut sequence = Sequence::of(&bytes).unwrap();
        let run = |runtime| {
            [
                Action::Execute { slot: 0, runtime, job: None, ms: 500 },
                Action::Submit { slot: 0, runtime, job: None, ms: 20 },
            ]
        };
        sequence.actions.extend((0..decode::FIRST_RUNTIMES).flat_map(run));
        let guest = Guest::of(0);
        sequence.actions.push(Action::Register { slot: 0, runtime: 6, guest, replace: true });
        sequence
    }
}
