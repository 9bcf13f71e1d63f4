//! Threads that change the sources of a descriptor, step by step, in orders that seeds determine.

use super::*;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// A sequence of numbers that a seed determines.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// What a thread does next. Each step is atomic: it is taken under one lock.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Add(usize),
    /// Takes everything, as a poll does, or one thing, as a poll with `job` does.
    Take(usize, bool),
    Update(usize),
    /// The end of a poll.
    Renew,
    /// Makes the descriptor, if there is none. The caller then knows its number.
    Open,
    Known,
}

const BOTH: [Source; 2] = [Source::Replies, Source::HostCalls];

fn producer(source: usize) -> Vec<Step> {
    vec![Step::Add(source), Step::Update(source)]
}

fn poller(all: bool) -> Vec<Step> {
    let look = |source| [Step::Take(source, all), Step::Update(source)];
    [look(1).as_slice(), &look(0), &[Step::Renew]].concat()
}

/// Some threads take their steps in an order that a seed determines. After each step the level is compared with what lies in
/// the sources. A watcher for edges sees all edges, and answers each with a poll.
fn interleave(seed: u64) {
    let mut random = Random(seed);
    let descriptor = PollDescriptor::default();
    let mut sources = [0_usize; 2];
    let mut threads: Vec<Vec<Step>> = (0..2 + random.below(4)).map(|_| producer(random.below(2))).collect();
    threads.extend((0..random.below(3)).map(|_| poller(random.below(2) == 0)));
    threads.push(vec![Step::Open, Step::Update(0), Step::Update(1), Step::Known]);
    let (mut number, mut watcher) = (None, None);
    let mut story = Vec::new();
    let mut added = 0;
    while !threads.is_empty() {
        let index = random.below(threads.len());
        let step = threads[index].remove(0);
        story.push((index, step));
        match step {
            Step::Add(source) => (sources[source], added) = (sources[source] + 1, added + 1),
            Step::Take(source, true) => sources[source] = 0,
            Step::Take(source, false) => sources[source] = sources[source].saturating_sub(1),
            Step::Update(source) => descriptor.update(BOTH[source], || sources[source] > 0),
            Step::Renew => descriptor.renew(),
            Step::Open => number = descriptor.open().unwrap(),
            Step::Known => {
                let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
                #[allow(unsafe_code, reason = "an event loop has a number alone")]
                // SAFETY: the descriptor is open until the end of this function.
                let fd = unsafe { BorrowedFd::borrow_raw(number.unwrap()) };
                epoll::add(&epoll, fd, EventData::new_u64(0), EventFlags::IN | EventFlags::ET).unwrap();
                watcher = Some(epoll);
            }
        }
        if threads[index].is_empty() {
            threads.swap_remove(index);
            if added < 30 && random.below(3) > 0 {
                threads.push(producer(random.below(2)));
            }
        }
        let Some(watcher) = &watcher else { continue };
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 4];
        let has_edge = !epoll::wait(watcher, &mut events[..], Some(&AT_ONCE)).unwrap().0.is_empty();
        if has_edge {
            threads.push(poller(random.below(3) > 0));
        }
        let is_pending = |source| threads.iter().flatten().any(|step| *step == Step::Update(source));
        let is_level = is_readable(number.unwrap(), &AT_ONCE);
        for (source, left) in sources.iter().enumerate() {
            assert!(is_level || *left == 0 || is_pending(source), "seed {seed}: a wake-up was lost: {story:?}");
        }
        let may_be_stale = is_pending(0) || is_pending(1);
        assert!(!is_level || sources != [0, 0] || may_be_stale, "seed {seed}: it stays readable: {story:?}");
    }
    assert_eq!(sources, [0, 0], "seed {seed}: the watcher for edges was not told: {story:?}");
}

#[test]
fn in_whichever_order_threads_take_their_steps_the_level_is_right() {
    (0..5_000).for_each(interleave);
}
