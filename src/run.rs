//! Runs one instance, from creating it to its end.

mod backtrace;
mod begin;
#[cfg(feature = "components")]
mod component;
mod ending;
mod snapshot;
#[cfg(feature = "compiler")]
mod source_lines;

pub(crate) use backtrace::GuestBacktrace;
#[cfg(feature = "compiler")]
pub(crate) use backtrace::lines_with_places;
pub(crate) use begin::Goal;
pub(crate) use snapshot::{GlobalValue, Snapshot};
#[cfg(feature = "compiler")]
pub(crate) use source_lines::{Search, places};

use crate::catalog::RuntimeEntry;
use crate::deadline::Stop;
use crate::engine::{self, Engine};
use crate::error::{Error, Phase, Result, printable};
use crate::module_cache::{CompiledRuntime, Runnable};
use crate::sandbox::{OutputTooLarge, Refused, Sandbox};
use crate::shared_limits::CpuTime;
use crate::stack::GuestStack;
use crate::waiting::until;
use crate::{threads, workers};
use backtrace::Frame;
use ending::{exit_code, trap_name};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use wasmtime::{GcHeapOutOfMemory, Store, Trap, UpdateDeadline, WasmBacktrace};

/// What a guest leaves that ended by itself.
pub(crate) struct Captured {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub ending: Ending,
    /// The most memory that the guest had, in bytes.
    pub memory_bytes: u64,
    /// The limit beyond which the guest wanted more memory, if it did.
    pub refused: Option<Refused>,
    /// Whether the system has refused memory that the limits allow.
    pub is_out_of_memory: bool,
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
    /// If the goal was a snapshot: the snapshot, or why none can be made of this guest.
    pub snapshot: Option<Result<Box<Snapshot>, String>>,
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
    goal: Goal,
    stack: GuestStack,
    sandbox: impl FnOnce() -> Sandbox,
    slots: impl Send + 'a,
) -> Result<Run<'a>> {
    threads::prepare_for_guests()?;
    let mut store = store_for(compiled, sandbox)?;
    match &compiled.runnable {
        // A garbage collection yields, which needs a stack of its own.
        Runnable::Module(module) if stack == GuestStack::Callers && !compiled.form.heap => {
            let metered_by = counting(&store);
            let ended = metered(metered_by.as_deref(), || begin::guest(module, &mut store, &goal));
            Ok(Run::Ended(captured(store, Ok(ended), compiled)))
        }
        _ => Ok(Run::Waits(Box::pin(run_on_its_own_stack(compiled, goal, store, slots)))),
    }
}

async fn run_on_its_own_stack(
    compiled: &CompiledRuntime,
    goal: Goal,
    mut store: Store<Sandbox>,
    _slots: impl Send,
) -> Result<Ended> {
    let (deadline, cpu) = (store.data().deadline.clone(), counting(&store));
    let cpu = cpu.as_deref();
    let waits = compiled.is_component() || store.data().has_files();
    let threads = engine::existing().filter(|_| waits).map(Engine::io_threads).transpose()?;
    let ended = match &compiled.runnable {
        Runnable::Module(module) => {
            let guest = pin!(begin::guest_on_its_own_stack(module, &mut store, &goal));
            until(&deadline, among(threads, cpu, guest)).await
        }
        #[cfg(feature = "components")]
        Runnable::Component(component) => {
            let guest = pin!(component::guest(component, &mut store));
            until(&deadline, among(threads, cpu, guest)).await.map(|ended| ended.map(|()| None))
        }
    };
    let _entered = threads.map(|threads| threads.enter());
    Ok(captured(store, ended, compiled))
}

fn store_for(compiled: &CompiledRuntime, sandbox: impl FnOnce() -> Sandbox) -> Result<Store<Sandbox>> {
    let mut store = Store::new(compiled.engine(), sandbox());
    match &compiled.runnable {
        Runnable::Module(_) => store.data_mut().give_files(),
        #[cfg(feature = "components")]
        Runnable::Component(_) => store.data_mut().enter_world(),
    }
    if compiled.form.heap {
        store.data_mut().limiter.expect_heap();
    }
    store.limiter(|sandbox| &mut sandbox.limiter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        let Sandbox { deadline, policy, sampler, .. } = store.data();
        if let Some(sampler) = sampler {
            sampler.take(&WasmBacktrace::capture(&store));
        }
        if let Some(cpu) = &policy.cpu {
            cpu.count();
        }
        match deadline.remaining() {
            Ok(_) if deadline.is_on_worker() && workers::should_yield() => Ok(UpdateDeadline::Yield(1)),
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
fn captured(
    store: Store<Sandbox>,
    ended: Result<wasmtime::Result<Option<Box<Snapshot>>>, Stop>,
    compiled: &CompiledRuntime,
) -> Ended {
    let fuel = store.data().fuel;
    let left = fuel.and_then(|_| store.get_fuel().ok());
    let mut sandbox = store.into_data();
    sandbox.leave_world();
    sandbox.stdio.end_stderr();
    let (exit, snapshot) = match ended {
        Err(stop) => {
            return Ended { captured: Err(sandbox.stopped(stop, Vec::new())), snapshot: None, backtrace: None };
        }
        Ok(Ok(made)) => (Ok(0), made.map(Ok)),
        Ok(Err(error)) => {
            let why = sandbox.initialisation.as_ref().map(|_| Err(snapshot::why_none(&error, &sandbox)));
            (exit_code(&error).ok_or(error), why)
        }
    };
    let (ending, frames) = match exit {
        Ok(code) => (Ok(Ending::Exit(code)), Vec::new()),
        Err(error) => {
            let frames = backtrace::frames(&error, &compiled.shifts);
            (failed(&error, &mut sandbox, fuel, &frames), frames)
        }
    };
    let backtrace = (!frames.is_empty()).then(|| {
        let (entry, deadline) = (sandbox.entry.clone(), sandbox.deadline.clone());
        Box::new(GuestBacktrace { frames, entry, deadline })
    });
    let is_out_of_memory = sandbox.limiter.is_out_of_memory;
    let is_for_a_snapshot = sandbox.initialisation.is_some();
    let captured = ending.and_then(|ending| {
        // A snapshot would keep forever that the system had no memory once.
        if is_out_of_memory && is_for_a_snapshot {
            return Err(Error::no_memory("a guest"));
        }
        let (memory_bytes, refused) = (sandbox.limiter.peak as u64, sandbox.limiter.refused);
        let (stdout, stderr) = sandbox.stdio.into_captured();
        let fuel = fuel.zip(left).map(|(given, left)| given - left);
        Ok(Captured { stdout, stderr, ending, memory_bytes, refused, is_out_of_memory, fuel, entry: sandbox.entry })
    });
    Ended { captured, snapshot, backtrace }
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
