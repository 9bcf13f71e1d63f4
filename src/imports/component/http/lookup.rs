//! Lookups of host names, in a lane of their own (`lanes`). A lookup blocks for as long as the system's resolver waits
//! for a name server, even beyond the deadline of its call. It must occupy neither the threads for system calls of
//! files nor those of other executors.

use crate::fair::Tenant;
use crate::lanes::Lane;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::LazyLock;
use tokio::sync::oneshot;

const THREADS: usize = 16;
/// The most threads for the lookups of one executor: a quarter. So lookups of four executors must hang before a fifth
/// executor finds no thread.
const SHARE: usize = THREADS / 4;
/// The most lookups of one executor that may wait for a thread. A call has at most one for each of its connections. The
/// lookups of calls that have ended stay in the queue until it is their turn.
const MOST_WAITING: usize = 10_000;

type Addresses = io::Result<Vec<SocketAddr>>;

/// The addresses of a host, by the system's resolver. An IP address is not looked up.
pub(super) async fn addresses(tenant: Tenant, host: &str, port: u16) -> Addresses {
    static LOOKUPS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-lookup", 1 << 20, THREADS, SHARE));
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
        Err(_) => in_turn(&LOOKUPS, tenant, host, move |host| Ok((host, port).to_socket_addrs()?.collect())).await,
    }
}

/// Looks a host up when it is the executor's turn, unless the call has ended by then.
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
            // Nobody receives the addresses if the call has ended meanwhile.
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
        // The futures of the first two lookups are dropped, as when their calls end.
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
