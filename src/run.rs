//! Runs one instance, from creating it to its end.

mod backtrace;
#[cfg(feature = "components")]
mod component;
#[cfg(feature = "compiler")]
mod source_lines;

pub(crate) use backtrace::GuestBacktrace;
#[cfg(feature = "compiler")]
pub(crate) use backtrace::lines_with_places;
#[cfg(feature = "compiler")]
pub(crate) use source_lines::{Search, places};

use crate::catalog::RuntimeEntry;
use crate::deadline::Stop;
use crate::engine::{self, Engine, Imports, Stacks};
use crate::error::{Error, Phase, Result, printable};
use crate::imports::preview1::Exit;
use crate::module_cache::{CompiledRuntime, Runnable, RunnableModule};
use crate::sandbox::{OutputTooLarge, Refused, Sandbox};
use crate::shared_limits::CpuTime;
use crate::waiting::until;
use crate::workers;
use backtrace::Frame;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use wasmtime::{
    Extern, Func, GcHeapOutOfMemory, Instance, Store, ThrownException, Trap, UpdateDeadline, WasmBacktrace,
};

/// What a guest leaves that ended by itself.
pub(crate) struct Captured {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub ending: Ending,
    /// The most memory that the guest had, in bytes.
    pub memory_bytes: u64,
    /// The limit beyond which the guest wanted more memory, if it did.
    pub refused: Option<Refused>,
    pub fuel: Option<u64>,
    pub entry: Arc<RuntimeEntry>,
}

/// How a guest ended.
pub(crate) enum Ending {
    Exit(i32),
    Trap { trap: String, backtrace: Vec<String> },
}

/// The result of a guest, and the frames of its stack if the error that ended it has a backtrace.
pub(crate) struct Ended {
    pub captured: Result<Captured>,
    #[cfg_attr(not(feature = "compiler"), allow(dead_code, reason = "lines are found where there is a compiler"))]
    pub backtrace: Option<Box<GuestBacktrace>>,
}

/// A guest's run: it is over, or it is a future that may wait.
pub(crate) enum Run<'a> {
    Ended(Ended),
    /// Boxed, so that the future of the call stays small enough for any stack.
    Waits(Pin<Box<dyn Future<Output = Result<Ended>> + Send + 'a>>),
}

/// Runs a fresh instance. A module that needs no stack of its own runs to its end right here, on the caller's stack;
/// everything else becomes a future. `slots` is the right to an instance, held until the run is over.
pub(crate) fn run<'a>(
    compiled: &'a CompiledRuntime,
    stacks: Stacks,
    sandbox: impl FnOnce() -> Sandbox,
    slots: impl Send + 'a,
) -> Result<Run<'a>> {
    let mut store = store_for(compiled, sandbox)?;
    match &compiled.runnable {
        // A garbage collection yields, which needs a stack of its own.
        Runnable::Module(module) if stacks == Stacks::None && !compiled.heap => {
            let metered_by = counting(&store);
            let ended = metered(metered_by.as_deref(), || guest(module, &mut store));
            Ok(Run::Ended(captured(store, Ok(ended))))
        }
        _ => Ok(Run::Waits(Box::pin(run_on_its_own_stack(compiled, store, slots)))),
    }
}

async fn run_on_its_own_stack(
    compiled: &CompiledRuntime,
    mut store: Store<Sandbox>,
    _slots: impl Send,
) -> Result<Ended> {
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
            let guest = pin!(component::guest(command, &mut store));
            until(&deadline, among(threads, cpu, guest)).await
        }
    };
    let _entered = threads.map(|threads| threads.enter());
    Ok(captured(store, ended))
}

fn store_for(compiled: &CompiledRuntime, sandbox: impl FnOnce() -> Sandbox) -> Result<Store<Sandbox>> {
    let mut store = Store::new(compiled.engine(), sandbox());
    match &compiled.runnable {
        Runnable::Module(_) => store.data_mut().give_files(),
        #[cfg(feature = "components")]
        Runnable::Component(_) => store.data_mut().enter_world(),
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
        match deadline.remaining() {
            Ok(_) if deadline.is_submitted() && workers::should_yield() => Ok(UpdateDeadline::Yield(1)),
            Ok(_) => Ok(UpdateDeadline::Continue(1)),
            Err(stop) => Err(stop.into()),
        }
    });
    if let Some(fuel) = store.data().fuel {
        store.set_fuel(fuel).map_err(|error| Error::of_wasmtime("to count fuel", error))?;
    }
    Ok(store)
}

/// The result of a guest that has ended: what it leaves, or why it was stopped.
fn captured(store: Store<Sandbox>, ended: Result<wasmtime::Result<()>, Stop>) -> Ended {
    let fuel = store.data().fuel;
    let left = fuel.and_then(|_| store.get_fuel().ok());
    let mut sandbox = store.into_data();
    sandbox.leave_world();
    sandbox.stdio.end_stderr();
    let exit = match ended {
        Err(stop) => return Ended { captured: Err(sandbox.stopped(stop, Vec::new())), backtrace: None },
        Ok(Ok(())) => Ok(0),
        Ok(Err(error)) => exit_code(&error).ok_or(error),
    };
    let (ending, frames) = match exit {
        Ok(code) => (Ok(Ending::Exit(code)), Vec::new()),
        Err(error) => {
            let frames = backtrace::frames(&error);
            (failed(&error, &mut sandbox, fuel, &frames), frames)
        }
    };
    let backtrace = (!frames.is_empty()).then(|| {
        let (entry, deadline) = (sandbox.entry.clone(), sandbox.deadline.clone());
        Box::new(GuestBacktrace { frames, entry, deadline })
    });
    let is_out_of_memory = sandbox.limiter.is_out_of_memory;
    let captured = ending.and_then(|ending| {
        if is_out_of_memory && matches!(ending, Ending::Trap { .. }) {
            return Err(Error::no_memory("a guest"));
        }
        let (memory_bytes, refused) = (sandbox.limiter.peak as u64, sandbox.limiter.refused);
        let (stdout, stderr) = sandbox.stdio.into_captured();
        let fuel = fuel.zip(left).map(|(given, left)| given - left);
        Ok(Captured { stdout, stderr, ending, memory_bytes, refused, fuel, entry: sandbox.entry })
    });
    Ended { captured, backtrace }
}

fn exit_code(error: &wasmtime::Error) -> Option<i32> {
    let of_component = || error.downcast_ref().map(|wasmtime_wasi::I32Exit(code)| *code);
    error.downcast_ref().map(|Exit(code)| *code).or_else(of_component)
}

/// The result of a guest that neither returned nor exited.
fn failed(error: &wasmtime::Error, sandbox: &mut Sandbox, fuel: Option<u64>, frames: &[Frame]) -> Result<Ending> {
    let trapped = || Ending::Trap { trap: trap_name(error), backtrace: backtrace::lines(frames) };
    if let Some(stop) = error.downcast_ref() {
        Err(sandbox.stopped(*stop, backtrace::lines(frames)))
    } else if error.is::<OutputTooLarge>() {
        Err(Error::OutputTooLarge { output_bytes: sandbox.stdio.output_bytes as u64 })
    } else if let (Some(Trap::OutOfFuel), Some(fuel)) = (error.downcast_ref(), fuel) {
        Err(Error::FuelExhausted { fuel, guest: Box::new(sandbox.left(backtrace::lines(frames))) })
    } else if is_out_of_heap(error) {
        sandbox.limiter.is_out_of_heap();
        Ok(trapped())
    } else if let Some(error) = Error::exhausted_wasmtime("to run a guest", error) {
        Err(error)
    } else if was_not_made(error, sandbox) {
        let message = printable(&error.root_cause().to_string()).into_owned();
        Err(Error::ModuleInvalid { runtime: sandbox.entry.name.clone(), message, import: None })
    } else {
        Ok(trapped())
    }
}

#[allow(unsafe_code, reason = "the safe way looks the type up, twice, where all threads count references")]
fn guest(module: &RunnableModule, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let instance = module.instance(&store.data().entry.name, Imports::Plain)?.instantiate(&mut *store)?;
    let start = start_of(module, &instance, store)?;
    // SAFETY: `runnable_module` checks that `_start` has no parameters and no results, so the call reads and writes no
    // values. With `Imports::Plain` the guest calls no asynchronous import, so the call needs no stack of its own.
    unsafe { start.call_unchecked(store, &mut []) }
}

/// Runs a module as [`guest`] does, but as a future, which wasmtime runs on a stack of the pool.
async fn guest_on_its_own_stack(module: &RunnableModule, store: &mut Store<Sandbox>) -> wasmtime::Result<()> {
    let imports = if store.data().has_files() { Imports::WithFiles } else { Imports::Async };
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

/// Polls a future and charges its processor time. While it is polled, wasmtime-wasi finds the tokio runtime whose
/// threads make system calls, if one is given.
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

/// The account for the guest's processor time, if that is limited.
fn counting(store: &Store<Sandbox>) -> Option<Arc<CpuTime>> {
    store.data().policy.cpu.clone()
}

/// Does a part of a guest's work, and charges its processor time, if that is limited.
fn metered<T>(cpu: Option<&CpuTime>, work: impl FnOnce() -> T) -> T {
    match cpu {
        Some(cpu) => cpu.metered(work),
        None => work(),
    }
}

/// Whether the failure came before there was an instance that could trap. A component may have more instances, tables
/// or memories than a guest may; this shows only when the component is instantiated.
fn was_not_made(error: &wasmtime::Error, sandbox: &Sandbox) -> bool {
    let has_run = error.is::<Trap>() || error.is::<WasmBacktrace>();
    sandbox.phase == Phase::Start && !has_run && sandbox.limiter.refused.is_none()
}

/// Whether an object found no room in the garbage-collected heap: the guest's limit is reached, or the object is larger
/// than any heap.
fn is_out_of_heap(error: &wasmtime::Error) -> bool {
    error.is::<GcHeapOutOfMemory<()>>() || matches!(error.downcast_ref(), Some(Trap::AllocationTooLarge))
}

fn trap_name(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None if error.is::<ThrownException>() => "an exception that nothing catches".to_owned(),
        None => printable(&error.root_cause().to_string()).into_owned(),
    }
}
