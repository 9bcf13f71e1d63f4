//! Looking up names, in a lane of its own: a lookup blocks for as long as the system's resolver waits for a server, also beyond
//! the deadline of its call, and must take away neither the threads that files need nor those of other executors.

use crate::fair::Tenant;
use crate::lanes::Lane;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::LazyLock;
use tokio::sync::oneshot;

const THREADS: usize = 16;
/// A quarter, so that it takes four executors whose names hang to leave no thread for a fifth.
const SHARE: usize = THREADS / 4;
/// Lookups of one executor that wait for a thread: each call has one at a time, and those of calls that have ended go in turn.
const MOST_WAITING: usize = 10_000;

type Addresses = io::Result<Vec<SocketAddr>>;

/// The addresses of a host by the system's resolver.
pub(super) async fn addresses(tenant: Tenant, host: &str, port: u16) -> Addresses {
    static LOOKUPS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-lookup", 1 << 20, THREADS, SHARE));
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
        Err(_) => in_turn(&LOOKUPS, tenant, host, move |host| Ok((host, port).to_socket_addrs()?.collect())).await,
    }
}

/// Looks a host up in the executor's turn, unless the call has ended before that.
async fn in_turn(
    lane: &'static Lane,
    tenant: Tenant,
    host: &str,
    look_up: impl FnOnce(&str) -> Addresses + Send + 'static,
) -> Addresses {
    if lane.waiting(tenant) >= MOST_WAITING {
        return Err(io::Error::other("too many names of this executor wait to be looked up"));
    }
    let (answer, answered) = oneshot::channel();
    let host = host.to_owned();
    let work = move || {
        if !answer.is_closed() {
            // Unless the call ends meanwhile.
            let _ = answer.send(look_up(&host));
        }
    };
    lane.submit(tenant, work).map_err(|(error, _)| io::Error::other(error))?;
    answered.await.unwrap_or_else(|_| Err(io::Error::other("nobody looked it up")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    #[test]
    fn names_of_calls_that_have_ended_are_not_looked_up() {
        let lane: &'static Lane = Box::leak(Box::new(Lane::new("arawn-test", 256 << 10, 1, 1)));
        let tenant = Tenant::new();
        let (go, gate) = mpsc::channel::<()>();
        let (told, names) = mpsc::channel();
        let mut context = Context::from_waker(Waker::noop());
        let hang = move |_: &str| gate.recv().map_err(io::Error::other).map(|()| Vec::new());
        let mut hanging = pin!(in_turn(lane, tenant, "hangs", hang));
        assert!(hanging.as_mut().poll(&mut context).is_pending());
        // These two are dropped.
        let look_up = |told: mpsc::Sender<String>| {
            move |name: &str| {
                told.send(name.to_owned()).unwrap();
                Ok(Vec::new())
            }
        };
        for name in ["gone", "gone too"] {
            assert!(pin!(in_turn(lane, tenant, name, look_up(told.clone()))).poll(&mut context).is_pending());
        }
        let mut last = pin!(in_turn(lane, tenant, "last", look_up(told)));
        assert!(last.as_mut().poll(&mut context).is_pending());
        go.send(()).unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["last"]);
        assert_eq!(lane.waiting(tenant), 0);
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let mut found = pin!(addresses(Tenant::new(), "127.0.0.1", 80));
        assert!(found.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
