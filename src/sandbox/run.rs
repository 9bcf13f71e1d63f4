//! One instance from its making to its end.

use super::wasi::Exit;
use super::{OutputTooLarge, Refused, Sandbox};
use crate::engine::{Slot, engine};
use crate::error::{Error, Phase, Result, printable};
use crate::jobs::{Deadline, Stop};
use crate::module_cache::{CompiledRuntime, Runnable, RunnableModule};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use wasmtime::{Extern, Instance, Store, Trap, TypedFunc, UpdateDeadline, WasmBacktrace};

/// What is left of a guest that ended by itself.
pub(crate) struct Captured {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub ending: Ending,
    /// The most that it had.
    pub memory_bytes: u64,
    /// Whether it wanted more than it may have.
    pub refused: Option<Refused>,
    pub fuel: Option<u64>,
}

/// How a guest ended.
pub(crate) enum Ending {
    Exit(i32),
    Trap { trap: String, backtrace: Vec<String> },
}

/// Runs a fresh instance to its end. The slot is the right to one.
pub(crate) fn run(compiled: &CompiledRuntime, mut sandbox: Sandbox, _slot: Slot) -> Result<Captured> {
    let deadline = sandbox.deadline.clone();
    let fuel = sandbox.fuel;
    match &compiled.runnable {
        Runnable::Module(_) => sandbox.open_files()?,
        #[cfg(feature = "components")]
        Runnable::Component(_) => super::component::enter(&mut sandbox)?,
    }
    let mut store = Store::new(compiled.engine(), sandbox);
    store.limiter(|sandbox| &mut sandbox.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| match store.data().deadline.patience() {
        Ok(_) => Ok(UpdateDeadline::Continue(1)),
        Err(stop) => Err(stop.into()),
    });
    if let Some(fuel) = fuel {
        store.set_fuel(fuel).map_err(Error::internal)?;
    }
    // With files, host calls wait, and only a future can be left waiting; so they do in components.
    let waits = compiled.is_component() || store.data().has_files();
    let _entered = if waits { Some(engine()?.io_threads()?.enter()) } else { None };
    let ended = match &compiled.runnable {
        Runnable::Module(module) if !waits && super::stack::is_large_enough() => Ok(guest(module, &mut store)),
        Runnable::Module(module) => wait(guest_on_its_own_stack(module, &mut store), &deadline),
        #[cfg(feature = "components")]
        Runnable::Component(command) => wait(super::component::guest(command, &mut store), &deadline),
    };
    let left = fuel.and_then(|_| store.get_fuel().ok());
    let mut sandbox = store.into_data();
    sandbox.leave_world();
    let stopped = |stop| deadline.error(stop, sandbox.phase);
    let ending = match ended.map_err(stopped)? {
        Ok(()) => Ending::Exit(0),
        Err(error) => {
            if let Some(Exit(code)) = error.downcast_ref() {
                Ending::Exit(*code)
            } else if let Some(wasmtime_wasi::I32Exit(code)) = error.downcast_ref() {
                Ending::Exit(*code)
            } else if let Some(stop) = error.downcast_ref() {
                return Err(stopped(*stop));
            } else if error.is::<OutputTooLarge>() {
                return Err(Error::OutputTooLarge { output_bytes: sandbox.stdio.output_bytes as u64 });
            } else if let (Some(Trap::OutOfFuel), Some(fuel)) = (error.downcast_ref(), fuel) {
                return Err(Error::FuelExhausted { fuel });
            } else if was_not_made(&error, &sandbox) {
                let message = printable(&error.root_cause().to_string()).into_owned();
                return Err(Error::ModuleInvalid { runtime: sandbox.entry.name.clone(), message, import: None });
            } else {
                Ending::Trap { trap: trap_name(&error), backtrace: backtrace(&error) }
            }
        }
    };
    let (memory_bytes, refused) = (sandbox.limiter.peak as u64, sandbox.limiter.refused);
    let (stdout, stderr) = sandbox.stdio.into_captured();
    let fuel = fuel.zip(left).map(|(given, left)| given - left);
    Ok(Captured { stdout, stderr, ending, memory_bytes, refused, fuel })
}

fn guest(module: &RunnableModule, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let instance = module.instance.instantiate(&mut *store)?;
    start_of(module, &instance, store)?.call(store, ())
}

/// The same as a future, which wasmtime runs on a stack of the pool.
async fn guest_on_its_own_stack(module: &RunnableModule, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let instance = if store.data().has_files() { &module.instance_with_files } else { &module.instance };
    let instance = instance.instantiate_async(&mut *store).await?;
    start_of(module, &instance, store)?.call_async(store, ()).await
}

fn start_of(
    module: &RunnableModule,
    instance: &Instance,
    store: &mut Store<Sandbox>,
) -> wasmtime::Result<TypedFunc<(), ()>> {
    store.data_mut().phase = Phase::Run;
    let export = instance.get_module_export(&mut *store, &module.start);
    let start = export.and_then(Extern::into_func).ok_or_else(|| wasmtime::Error::msg("`_start` is gone"))?;
    start.typed(store)
}

/// Drives a future on this thread. Where the call must end first, the future is dropped with its guest.
fn wait<T>(future: impl Future<Output = T>, deadline: &Deadline) -> Result<T, Stop> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(value);
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(value);
        }
        thread::park_timeout(deadline.patience()?);
    }
}

/// Whether there was no instance to trap: a component may have more instances, tables or memories than one guest may, which
/// only shows when it is put together.
fn was_not_made(error: &wasmtime::Error, sandbox: &Sandbox) -> bool {
    let has_run = error.is::<Trap>() || error.is::<WasmBacktrace>();
    sandbox.phase == Phase::Start && !has_run && sandbox.limiter.refused.is_none()
}

fn trap_name(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => printable(&error.root_cause().to_string()).into_owned(),
    }
}

/// One line a frame, innermost first: number, offset in the module, `module!function`.
fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let text = printable(&backtrace.to_string()).into_owned();
    text.lines().skip(1).map(|line| line.trim().to_owned()).collect()
}
