//! `wasi:clocks/monotonic-clock`, over the clock of the sandbox.

use crate::sandbox::Sandbox;
use crate::sandbox::component::{SharedClock, Timer};
use std::time::Duration;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Host, Instant};
use wasmtime_wasi::p2::{DynPollable, subscribe};

struct Clocks;

struct ClocksView<'a> {
    /// The reason for which this host call fails, if it does.
    over: Option<wasmtime::Error>,
    clock: SharedClock,
    table: &'a mut ResourceTable,
}

impl HasData for Clocks {
    type Data<'a> = ClocksView<'a>;
}

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    monotonic_clock::add_to_linker::<Sandbox, Clocks>(linker, |sandbox| {
        let over = sandbox.begin_host_call().err();
        let world = sandbox.world();
        ClocksView { over, clock: world.clock.clone(), table: &mut world.table }
    })
}

impl ClocksView<'_> {
    fn begun(&mut self) -> wasmtime::Result<()> {
        self.over.take().map_or(Ok(()), Err)
    }
}

impl Host for ClocksView<'_> {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        self.begun()?;
        Ok(nanoseconds(self.clock.monotonic()))
    }

    fn resolution(&mut self) -> wasmtime::Result<Instant> {
        self.begun()?;
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        self.begun()?;
        let timer = Timer { at: Duration::from_nanos(when), clock: self.clock.clone() };
        let timer = self.table.push(timer)?;
        subscribe(self.table, timer)
    }

    fn subscribe_duration(&mut self, duration: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        let now = nanoseconds(self.clock.monotonic());
        self.subscribe_instant(now.saturating_add(duration))
    }
}

fn nanoseconds(since: Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
