//! The ways of running one guest that the benchmarks compare, each with a fresh instance for each call.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may fail loudly, and uses a part")]
#![allow(unsafe_code, reason = "the benchmarks call the C interface")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::LazyLock;
use wasmtime::{Caller, Config, Enabled, Engine, InstanceAllocationStrategy, InstancePre, Linker, Module, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

pub const PASSTHROUGH: &[u8] = include_bytes!("../../runtimes/prebuilt/passthrough.wasm");

/// The sizes of `RuntimeInput` that are measured, in bytes.
pub const SIZES: [usize; 3] = [42, 64 << 10, 1 << 20];

/// A `RuntimeInput` of exactly `size` bytes: records, as an API would answer them.
pub fn input(size: usize) -> String {
    let (before, after) = (r#"{"config":{},"context":["#, "]}");
    let mut json = before.to_owned();
    let record = r#"{"id":1234567,"name":"Zoë \"Z\" Ångström","tags":["a","b"],"price":12.5,"ok":true},"#;
    while json.len() + record.len() + after.len() + 2 < size {
        json += record;
    }
    let fill = size - json.len() - after.len() - 2;
    json += &format!("\"{}\"", "x".repeat(fill));
    json += after;
    assert_eq!(json.len(), size);
    json
}

/// A function of the C interface that takes JSON.
type Function = unsafe extern "C" fn(*const c_char) -> *mut c_char;

/// libarawn through its C interface: the library that ARAWN_BENCH_LIBRARY names, as a host loads it, or else what is linked
/// into this program.
struct Library {
    loaded: Option<*mut c_void>,
    free: unsafe extern "C" fn(*mut c_char),
}

// SAFETY: what `dlopen` gives may be used by any thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let Ok(path) = std::env::var("ARAWN_BENCH_LIBRARY") else {
        return Library { loaded: None, free: arawn::ffi::arawn_free };
    };
    let name = CString::new(path.clone()).unwrap();
    // SAFETY: the name ends with a NUL; the library is never closed; and its `arawn_free` is what the header says.
    unsafe {
        let loaded = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        assert!(!loaded.is_null(), "{path} cannot be loaded: run make");
        let free = libc::dlsym(loaded, c"arawn_free".as_ptr());
        assert!(!free.is_null(), "{path} has no arawn_free");
        Library {
            loaded: Some(loaded),
            free: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_char)>(free),
        }
    }
});

fn function(name: &str) -> Function {
    let Some(loaded) = LIBRARY.loaded else {
        return match name {
            "arawn_configure" => arawn::ffi::arawn_configure,
            "arawn_execute_pipeline" => arawn::ffi::arawn_execute_pipeline,
            "arawn_execute_runtime" => arawn::ffi::arawn_execute_runtime,
            "arawn_executor_close" => arawn::ffi::arawn_executor_close,
            "arawn_executor_new" => arawn::ffi::arawn_executor_new,
            "arawn_poll" => arawn::ffi::arawn_poll,
            "arawn_submit" => arawn::ffi::arawn_submit,
            _ => panic!("{name} is not used by any benchmark"),
        };
    };
    let symbol = CString::new(name).unwrap();
    // SAFETY: the name ends with a NUL, and each function that the benchmarks name is such a one.
    unsafe {
        let function = libc::dlsym(loaded, symbol.as_ptr());
        assert!(!function.is_null(), "the library has no {name}");
        std::mem::transmute::<*mut c_void, Function>(function)
    }
}

/// A request to a function of the C interface, which can be made again and again.
pub struct Asked {
    request: CString,
    function: Function,
}

impl Asked {
    pub fn new(name: &str, request: &str) -> Self {
        Asked { request: CString::new(request).unwrap(), function: function(name) }
    }

    /// The length of the reply, which must be `ok`.
    pub fn ask(&self) -> usize {
        // SAFETY: the request ends with a NUL, and the reply is released once, after its last use.
        unsafe {
            let reply = (self.function)(self.request.as_ptr());
            let text = CStr::from_ptr(reply).to_bytes();
            assert!(text.starts_with(b"{\"status\":\"ok\""), "{}", String::from_utf8_lossy(text));
            let len = text.len();
            (LIBRARY.free)(reply);
            len
        }
    }
}

/// A call of a runtime by an executor.
pub struct Arawn {
    call: Asked,
    pub input_len: usize,
}

impl Arawn {
    pub fn new(executor: &str, runtime: &str, input: &str) -> Self {
        let request = format!(r#"{{"executor":"{executor}","runtime":"{runtime}","input":{input}}}"#);
        Arawn { call: Asked::new("arawn_execute_runtime", &request), input_len: input.len() }
    }

    pub fn call(&self) -> usize {
        self.call.ask()
    }
}

/// Makes a call with one JSON argument and releases the reply, which must be `ok`.
pub fn ask(name: &str, json: &str) {
    Asked::new(name, json).ask();
}

/// The same with the reply.
pub fn answer(name: &str, json: &str) -> serde_json::Value {
    let (function, json) = (function(name), CString::new(json).unwrap());
    // SAFETY: as in `Asked::ask`.
    let reply: serde_json::Value = unsafe {
        let reply = function(json.as_ptr());
        let value = serde_json::from_slice(CStr::from_ptr(reply).to_bytes()).unwrap();
        (LIBRARY.free)(reply);
        value
    };
    assert_eq!(reply["status"], "ok", "{reply}");
    reply
}

/// The bare floor: the same module under the same engine settings, and nothing around it. stdin is a slice, stdout a
/// buffer that is kept between calls; no limits, no deadline, no JSON.
pub struct Floor {
    engine: Engine,
    linker: Linker<Buffers>,
    pre: InstancePre<Buffers>,
    others: Vec<InstancePre<Buffers>>,
    input: Vec<u8>,
    output: Vec<u8>,
}

struct Buffers {
    input: Vec<u8>,
    read: usize,
    output: Vec<u8>,
}

impl Floor {
    pub fn new(input: &str) -> Self {
        const SLOTS: u32 = 128;
        let mut pool = wasmtime::PoolingAllocationConfig::new();
        pool.total_core_instances(SLOTS)
            .total_memories(SLOTS)
            .total_tables(SLOTS)
            .total_stacks(SLOTS)
            .total_gc_heaps(0);
        pool.max_unused_warm_slots(0);
        pool.pagemap_scan(Enabled::No).linear_memory_keep_resident(64 << 10).table_keep_resident(64 << 10);
        let mut config = Config::new();
        config.epoch_interruption(true).concurrency_support(false).memory_init_cow(false);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, PASSTHROUGH).unwrap();
        let mut linker: Linker<Buffers> = Linker::new(&engine);
        let wasi = "wasi_snapshot_preview1";
        linker
            .func_wrap(wasi, "proc_exit", |_: i32| -> wasmtime::Result<()> { Err(wasmtime::Error::msg("exit")) })
            .unwrap();
        linker
            .func_wrap(wasi, "fd_filestat_get", |mut caller: Caller<'_, Buffers>, _fd: i32, at: u32| {
                let memory = caller.get_export("memory").unwrap().into_memory().unwrap();
                let (memory, buffers) = memory.data_and_store_mut(&mut caller);
                let stat = &mut memory[at as usize..at as usize + 64];
                stat.fill(0);
                stat[32..40].copy_from_slice(&(buffers.input.len() as u64).to_le_bytes());
                0
            })
            .unwrap();
        linker
            .func_wrap(wasi, "fd_read", |mut caller: Caller<'_, Buffers>, _fd: i32, iovec: u32, _: i32, read: u32| {
                let memory = caller.get_export("memory").unwrap().into_memory().unwrap();
                let (memory, buffers) = memory.data_and_store_mut(&mut caller);
                let (at, len) = pair(memory, iovec);
                let count = len.min(buffers.input.len() - buffers.read);
                memory[at..at + count].copy_from_slice(&buffers.input[buffers.read..buffers.read + count]);
                buffers.read += count;
                memory[read as usize..read as usize + 4].copy_from_slice(&(count as u32).to_le_bytes());
                0
            })
            .unwrap();
        linker
            .func_wrap(
                wasi,
                "fd_write",
                |mut caller: Caller<'_, Buffers>, _fd: i32, iovec: u32, _: i32, written: u32| {
                    let memory = caller.get_export("memory").unwrap().into_memory().unwrap();
                    let (memory, buffers) = memory.data_and_store_mut(&mut caller);
                    let (at, len) = pair(memory, iovec);
                    buffers.output.extend_from_slice(&memory[at..at + len]);
                    memory[written as usize..written as usize + 4].copy_from_slice(&(len as u32).to_le_bytes());
                    0
                },
            )
            .unwrap();
        let pre = linker.instantiate_pre(&module).unwrap();
        Floor { engine, linker, pre, others: Vec::new(), input: input.as_bytes().to_vec(), output: Vec::new() }
    }

    /// Another thread's, of the same engine and module.
    pub fn again(&self) -> Self {
        let (engine, linker, pre) = (self.engine.clone(), self.linker.clone(), self.pre.clone());
        Floor { engine, linker, pre, others: Vec::new(), input: self.input.clone(), output: Vec::new() }
    }

    /// Takes in another module.
    pub fn add(&mut self, wasm: &[u8]) {
        let module = self.compile(wasm);
        self.others.push(self.linker.instantiate_pre(&module).unwrap());
    }

    pub fn call(&mut self) -> usize {
        self.run(None)
    }

    /// The same with one of the other modules.
    pub fn call_other(&mut self, index: usize) -> usize {
        self.run(Some(index))
    }

    fn run(&mut self, other: Option<usize>) -> usize {
        let pre = other.map_or(&self.pre, |index| &self.others[index]);
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        let buffers = Buffers { input: std::mem::take(&mut self.input), read: 0, output };
        let mut store = Store::new(&self.engine, buffers);
        store.set_epoch_deadline(1_000_000);
        let instance = pre.instantiate(&mut store).unwrap();
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
        start.call(&mut store, ()).unwrap();
        let buffers = store.into_data();
        self.input = buffers.input;
        self.output = buffers.output;
        self.output.len()
    }
}

impl Floor {
    /// wasmtime's own compile, to a module that is ready to instantiate.
    pub fn compile(&self, wasm: &[u8]) -> Module {
        Module::new(&self.engine, wasm).unwrap()
    }
}

/// Another process for each call: `cat`, which answers its stdin.
pub struct Spawn {
    input: Vec<u8>,
}

impl Spawn {
    pub fn new(input: &str) -> Self {
        Spawn { input: input.as_bytes().to_vec() }
    }

    pub fn call(&self) -> usize {
        let piped = std::process::Stdio::piped;
        let mut child = std::process::Command::new("cat").stdin(piped()).stdout(piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // From another thread, since a pipe holds 64 KiB.
        std::thread::scope(|scope| {
            scope.spawn(move || std::io::Write::write_all(&mut stdin, &self.input).unwrap());
            child.wait_with_output().unwrap().stdout.len()
        })
    }
}

fn pair(memory: &[u8], at: u32) -> (usize, usize) {
    let word = |at: usize| u32::from_le_bytes(memory[at..at + 4].try_into().unwrap()) as usize;
    (word(at as usize), word(at as usize + 4))
}

/// The obvious way: what a first program with wasmtime does. A linker for each call, instances on demand, fuel, the
/// library's pipes, and the JSON parsed into values on both sides.
pub struct Obvious {
    engine: Engine,
    module: Module,
    request: String,
}

impl Obvious {
    pub fn new(input: &str) -> Self {
        let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
        let module = Module::new(&engine, PASSTHROUGH).unwrap();
        Obvious { engine, module, request: input.to_owned() }
    }

    pub fn call(&self) -> usize {
        let input: serde_json::Value = serde_json::from_str(&self.request).unwrap();
        let mut linker: Linker<WasiP1Ctx> = Linker::new(&self.engine);
        wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |ctx| ctx).unwrap();
        let stdout = MemoryOutputPipe::new(64 << 20);
        let stdin = MemoryInputPipe::new(serde_json::to_vec(&input).unwrap());
        let ctx = WasiCtxBuilder::new().stdin(stdin).stdout(stdout.clone()).build_p1();
        let mut store = Store::new(&self.engine, ctx);
        store.set_fuel(u64::MAX / 2).unwrap();
        let instance = linker.instantiate(&mut store, &self.module).unwrap();
        instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap().call(&mut store, ()).unwrap();
        let output: serde_json::Value = serde_json::from_slice(&stdout.contents()).unwrap();
        output["output"].to_string().len()
    }
}
