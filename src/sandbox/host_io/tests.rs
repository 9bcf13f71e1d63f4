#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::*;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

type Entering = Pin<Box<dyn Future<Output = Permit> + Send>>;

fn entering(permits: &Arc<Permits>, tenant: u64) -> Entering {
    let permits = permits.clone();
    Box::pin(async move { permits.enter(Tenant::numbered(tenant)).await })
}

fn entered(entering: &mut Entering) -> Option<Permit> {
    match entering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

fn is_idle(permits: &Permits) -> bool {
    let state = permits.lock();
    state.taken == 0 && state.held.is_empty() && state.waiting.is_empty()
}

#[test]
fn an_executor_that_waits_is_served_within_one_turn_of_each_other() {
    let permits = Arc::new(Permits::new(4));
    let full: Vec<Permit> = [8, 8, 9, 9].map(|tenant| entered(&mut entering(&permits, tenant)).unwrap()).into();
    // The first executor has ten waiters in the queue, which came first.
    let mut waiting: Vec<(u64, Entering)> =
        [0; 10].into_iter().chain([1, 2]).map(|t| (t, entering(&permits, t))).collect();
    assert!(waiting.iter_mut().all(|(_, entering)| entered(entering).is_none()));
    let mut served = Vec::new();
    for permit in full {
        drop(permit);
        let (index, next) = waiting.iter_mut().enumerate().find_map(|(n, (_, e))| Some((n, entered(e)?))).unwrap();
        served.push((waiting.remove(index).0, next));
    }
    assert_eq!(served.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>(), [0, 1, 2, 0]);
    drop((waiting, served));
    assert!(is_idle(&permits));
}

#[test]
fn an_executor_has_half_of_the_permits_however_many_it_wants() {
    for (total, share) in [(1, 1), (2, 1), (5, 2), (128, 64)] {
        let permits = Arc::new(Permits::new(total));
        let mut greedy: Vec<Entering> = (0..total).map(|_| entering(&permits, 0)).collect();
        let held: Vec<Permit> = greedy.iter_mut().filter_map(entered).collect();
        assert_eq!(held.len(), share);
        // The executor's next waiter gets a permit once one of its own permits was given back, and not before.
        drop(held);
        let held: Vec<Permit> = greedy[share..].iter_mut().filter_map(entered).collect();
        assert_eq!(held.len(), share.min(total - share));
        drop((greedy, held));
        assert!(is_idle(&permits));
    }
}

#[test]
fn who_gives_up_waiting_leaves_nothing_behind() {
    let permits = Arc::new(Permits::new(2));
    let held = entered(&mut entering(&permits, 0)).unwrap();
    let mut waiting: Vec<Entering> = (0..3).map(|_| entering(&permits, 0)).collect();
    assert!(waiting.iter_mut().all(|entering| entered(entering).is_none()));
    drop(waiting.remove(1));
    assert_eq!(permits.lock().waiting.len_of(Tenant::numbered(0)), 2);
    // The permit goes to the first waiter, which is given up before it takes it.
    drop(held);
    drop(waiting.remove(0));
    let last = entered(&mut waiting[0]);
    assert!(last.is_some());
    drop((last, waiting));
    assert!(is_idle(&permits));
}

/// A system call that hangs holds its permit although nobody waits for the system call any more.
#[test]
fn a_call_that_is_given_up_holds_its_permit_until_it_ends() {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let _entered = threads.enter();
    let permits = Arc::new(Permits::new(2));
    let ((begun, begins), (end, ends)) = (mpsc::channel(), mpsc::channel::<()>());
    let permit = entered(&mut entering(&permits, 0)).unwrap();
    let mut given_up = Box::pin(keeping(permit, move || {
        begun.send(()).unwrap();
        ends.recv().unwrap();
    }));
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    begins.recv().unwrap();
    drop(given_up);
    let mut next = entering(&permits, 0);
    assert!(entered(&mut next).is_none());
    end.send(()).unwrap();
    threads.block_on(next);
    assert!(is_idle(&permits));
}
