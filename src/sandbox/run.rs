//! One instance from its making to its end.

use super::backtrace;
use super::wasi::Exit;
use super::{OutputTooLarge, Refused, Sandbox};
use crate::catalog::RuntimeEntry;
use crate::engine::{self, Engine, Imports, Stacks};
use crate::error::{Error, Phase, Result, printable};
use crate::jobs::Stop;
use crate::module_cache::{CompiledRuntime, Runnable, RunnableModule};
use crate::totals::CpuTime;
use crate::waiting::until;
use crate::workers;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use wasmtime::{
    Extern, Func, GcHeapOutOfMemory, Instance, Store, ThrownException, Trap, UpdateDeadline, WasmBacktrace,
};

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
    pub entry: Arc<RuntimeEntry>,
}

/// How a guest ended.
pub(crate) enum Ending {
    Exit(i32),
    Trap { trap: String, backtrace: Vec<String> },
}

/// A guest's run: over, or one that waits within.
pub(crate) enum Run<'a> {
    Ended(Captured),
    /// Apart from the call, whose own future stays small enough for any stack.
    Waits(Pin<Box<dyn Future<Output = Result<Captured>> + Send + 'a>>),
}

/// Runs a fresh instance: a module that needs no stack of its own to its end, right here on the caller's. The slots are the
/// right to an instance.
pub(crate) fn run<'a>(
    compiled: &'a CompiledRuntime,
    stacks: Stacks,
    sandbox: impl FnOnce() -> Sandbox,
    slots: impl Send + 'a,
) -> Result<Run<'a>> {
    let mut store = store_for(compiled, sandbox)?;
    match &compiled.runnable {
        // A collection gives way on a stack of its own alone.
        Runnable::Module(module) if stacks == Stacks::None && !compiled.heap => {
            let metered_by = counting(&store);
            let ended = metered(metered_by.as_deref(), || guest(module, &mut store));
            captured(store, Ok(ended)).map(Run::Ended)
        }
        _ => Ok(Run::Waits(Box::pin(run_on_its_own_stack(compiled, store, slots)))),
    }
}

async fn run_on_its_own_stack(
    compiled: &CompiledRuntime,
    mut store: Store<Sandbox>,
    _slots: impl Send,
) -> Result<Captured> {
    let (deadline, cpu) = (store.data().deadline.clone(), counting(&store));
    let cpu = cpu.as_deref();
    let waits = compiled.is_component() || store.data().has_files();
    let threads = engine::existing().filter(|_| waits).map(Engine::io_threads).transpose()?;
    let ended = match &compiled.runnable {
        Runnable::Module(module) => {
            let guest = pin!(guest_on_its_own_stack(module, &mut store));
            until(&deadline, among(threads, cpu, guest)).await
        }
        #[cfg(feature = "components")]
        Runnable::Component(command) => {
            let guest = pin!(super::component::guest(command, &mut store));
            until(&deadline, among(threads, cpu, guest)).await
        }
    };
    let _entered = threads.map(|threads| threads.enter());
    captured(store, ended)
}

fn store_for(compiled: &CompiledRuntime, sandbox: impl FnOnce() -> Sandbox) -> Result<Store<Sandbox>> {
    let mut store = Store::new(compiled.engine(), sandbox());
    match &compiled.runnable {
        Runnable::Module(_) => store.data_mut().give_files(),
        #[cfg(feature = "components")]
        Runnable::Component(_) => super::component::enter(store.data_mut())?,
    }
    if compiled.heap {
        store.data_mut().limiter.expect_heap();
    }
    store.limiter(|sandbox| &mut sandbox.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        let Sandbox { deadline, policy, .. } = store.data();
        if let Some(cpu) = &policy.cpu {
            cpu.count();
        }
        match deadline.patience() {
            Ok(_) if deadline.is_submitted() && workers::others_wait() => Ok(UpdateDeadline::Yield(1)),
            Ok(_) => Ok(UpdateDeadline::Continue(1)),
            Err(stop) => Err(stop.into()),
        }
    });
    if let Some(fuel) = store.data().fuel {
        store.set_fuel(fuel).map_err(|error| Error::of_wasmtime("to count fuel", error))?;
    }
    Ok(store)
}

/// What a guest that has ended leaves, or why it was stopped.
fn captured(store: Store<Sandbox>, ended: Result<wasmtime::Result<()>, Stop>) -> Result<Captured> {
    let fuel = store.data().fuel;
    let left = fuel.and_then(|_| store.get_fuel().ok());
    let mut sandbox = store.into_data();
    sandbox.leave_world();
    sandbox.stdio.end_stderr();
    let ending = match ended {
        Err(stop) => return Err(sandbox.stopped(stop, Vec::new())),
        Ok(Ok(())) => Ending::Exit(0),
        Ok(Err(error)) => {
            if let Some(Exit(code)) = error.downcast_ref() {
                Ending::Exit(*code)
            } else if let Some(wasmtime_wasi::I32Exit(code)) = error.downcast_ref() {
                Ending::Exit(*code)
            } else if let Some(stop) = error.downcast_ref() {
                return Err(sandbox.stopped(*stop, backtrace::lines(&error)));
            } else if error.is::<OutputTooLarge>() {
                return Err(Error::OutputTooLarge { output_bytes: sandbox.stdio.output_bytes as u64 });
            } else if let (Some(Trap::OutOfFuel), Some(fuel)) = (error.downcast_ref(), fuel) {
                return Err(Error::FuelExhausted { fuel, guest: Box::new(sandbox.left(backtrace::lines(&error))) });
            } else if is_out_of_heap(&error) {
                sandbox.limiter.is_out_of_heap();
                trapped(&error)
            } else if let Some(error) = Error::exhausted_in("to run a guest", &error) {
                return Err(error);
            } else if was_not_made(&error, &sandbox) {
                let message = printable(&error.root_cause().to_string()).into_owned();
                return Err(Error::ModuleInvalid { runtime: sandbox.entry.name.clone(), message, import: None });
            } else {
                trapped(&error)
            }
        }
    };
    if sandbox.limiter.is_out_of_memory && matches!(ending, Ending::Trap { .. }) {
        return Err(Error::no_memory("a guest"));
    }
    let (memory_bytes, refused) = (sandbox.limiter.peak as u64, sandbox.limiter.refused);
    let (stdout, stderr) = sandbox.stdio.into_captured();
    let fuel = fuel.zip(left).map(|(given, left)| given - left);
    Ok(Captured { stdout, stderr, ending, memory_bytes, refused, fuel, entry: sandbox.entry })
}

#[allow(unsafe_code, reason = "the safe way looks the type up, twice, where all threads count references")]
fn guest(module: &RunnableModule, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let instance = module.instance(&store.data().entry.name, Imports::Plain)?.instantiate(&mut *store)?;
    let start = start_of(module, &instance, store)?;
    // SAFETY: a `RunnableModule` is made of a `_start` without parameters and results alone, so that there is nothing to read
    // or to write; and with these imports nothing is called that waits.
    unsafe { start.call_unchecked(store, &mut []) }
}

/// The same as a future, which wasmtime runs on a stack of the pool.
async fn guest_on_its_own_stack(module: &RunnableModule, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let imports = if store.data().has_files() { Imports::WithFiles } else { Imports::ThatWait };
    let instance = module.instance(&store.data().entry.name, imports)?.instantiate_async(&mut *store).await?;
    start_of(module, &instance, store)?.typed::<(), ()>(&*store)?.call_async(store, ()).await
}

fn start_of(module: &RunnableModule, instance: &Instance, store: &mut Store<Sandbox>) -> wasmtime::Result<Func> {
    store.data_mut().phase = Phase::Run;
    if let Some(memory) = &module.memory {
        let export = instance.get_module_export(&mut *store, memory);
        store.data_mut().memory = export.and_then(Extern::into_memory);
    }
    let export = instance.get_module_export(&mut *store, &module.start);
    export.and_then(Extern::into_func).ok_or_else(|| wasmtime::Error::msg("`_start` is gone"))
}

/// Polls a future where wasmtime-wasi finds the threads for its system calls.
async fn among<T>(
    threads: Option<&tokio::runtime::Runtime>,
    cpu: Option<&CpuTime>,
    future: impl Future<Output = T>,
) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _entered = threads.map(|threads| threads.enter());
        metered(cpu, || future.as_mut().poll(context))
    })
    .await
}

/// What a guest's processor time is charged to, where that is limited.
fn counting(store: &Store<Sandbox>) -> Option<Arc<CpuTime>> {
    store.data().policy.cpu.clone()
}

/// Does something of a guest's, and counts its processor time where that is limited.
fn metered<T>(cpu: Option<&CpuTime>, work: impl FnOnce() -> T) -> T {
    match cpu {
        Some(cpu) => cpu.metered(work),
        None => work(),
    }
}

/// Whether there was no instance to trap: a component may have more instances, tables or memories than one guest may, which
/// only shows when it is put together.
fn was_not_made(error: &wasmtime::Error, sandbox: &Sandbox) -> bool {
    let has_run = error.is::<Trap>() || error.is::<WasmBacktrace>();
    sandbox.phase == Phase::Start && !has_run && sandbox.limiter.refused.is_none()
}

/// Whether an object found no room in the garbage-collected heap: what it may have is used up, or no heap is that large.
fn is_out_of_heap(error: &wasmtime::Error) -> bool {
    error.is::<GcHeapOutOfMemory<()>>() || matches!(error.downcast_ref(), Some(Trap::AllocationTooLarge))
}

fn trapped(error: &wasmtime::Error) -> Ending {
    Ending::Trap { trap: trap_name(error), backtrace: backtrace::lines(error) }
}

fn trap_name(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None if error.is::<ThrownException>() => "an exception that nothing catches".to_owned(),
        None => printable(&error.root_cause().to_string()).into_owned(),
    }
}
