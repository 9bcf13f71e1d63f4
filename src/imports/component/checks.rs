//! The beginning of each host call of a component: it checks the deadline and the budget of host bytes.

#[cfg(feature = "http")]
use crate::sandbox::component::http::HttpState;
use crate::sandbox::component::{Charge, HOST_BYTES, HostBytesExceeded, World};
use crate::sandbox::{Refused, Sandbox};
use wasmtime_wasi::{WasiCtxView, WasiView};
#[cfg(feature = "http")]
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

impl Sandbox {
    /// Begins a host call. Fails, and closes the world, if the deadline has passed, the call was cancelled, or the host
    /// would hold too many bytes for the guest.
    pub fn begin_host_call(&mut self) -> wasmtime::Result<()> {
        let over = if self.world().budget.is_exceeded() {
            self.note_host_bytes();
            Err(HostBytesExceeded.into())
        } else {
            // So much may have been copied out of the guest before this function runs. It is more than `spend` lets
            // pass without a check, so each host call checks the deadline.
            self.spend(HOST_BYTES).map_err(wasmtime::Error::from)
        };
        over.inspect_err(|_| self.world().is_closed = true)
    }

    /// Begins a host call of a function that this method cannot refuse, and returns the world.
    pub(super) fn world_for_host_call(&mut self) -> &mut World {
        // If the call is over, the function fails because of the closed table. `run::component` then begins a host call
        // once more, to learn the reason.
        let _ = self.begin_host_call();
        self.world()
    }

    /// Charges bytes that the host is about to hold for the guest. Dropping the charge releases them. Beyond
    /// [`HOST_BYTES`] the call ends with `memory_exceeded`.
    pub(super) fn charge_host_bytes(&mut self, bytes: usize) -> Result<Charge, HostBytesExceeded> {
        let charged = self.world().budget.charge(bytes);
        charged.inspect_err(|_| self.note_host_bytes())
    }

    /// Notes that the guest fails because it has exceeded the budget of host bytes.
    pub fn note_host_bytes(&mut self) {
        self.limiter.refused = Some(Refused { limit: "host_bytes", value: HOST_BYTES as u64 });
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let world = self.world_for_host_call();
        let table = if world.is_closed { &mut world.closed } else { &mut world.table };
        WasiCtxView { ctx: &mut world.context, table }
    }
}

#[cfg(feature = "http")]
impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let world = self.world_for_host_call();
        let table = if world.is_closed { &mut world.closed } else { &mut world.table };
        let HttpState { context, hooks, .. } = &mut world.http;
        WasiHttpCtxView { hooks, table, ctx: context }
    }
}
