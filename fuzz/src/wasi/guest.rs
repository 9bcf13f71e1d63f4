//! The guest: an interpreter that reads a program from stdin, makes its calls, writes a log to stdout and what is in its
//! memory to stderr.
//!
//! | page | what is there |
//! | ---- | ------------- |
//! | 0    | results at [`RESULTS`], the log at [`LOG`], the program at [`PROGRAM`] |
//! | 1    | stdin, later stderr |
//! | 2    | long names at [`LONG`] |
//! | 3    | [`SCRATCH`]: all that calls read and write; the last page, so that nothing runs over into another one |
//!
//! In stdin and in the log two letters from `a` to `p` stand for a byte. A program is the number of its pieces of data,
//! which are a place, a length and bytes each; and the number of its steps, which are a function, the place of its result
//! and its arguments each. An argument is a value, or the result of an earlier step, with the value where that has failed.

use std::fmt::Write as _;

/// What a function's parameters are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Directory,
    File,
    Descriptor,
    /// Pointer and length of a path.
    Path,
    /// Pointer and length of a buffer that is filled.
    Buffer,
    /// Pointer and count of buffers that are filled or written.
    Vectors,
    /// Subscriptions, events, and how many.
    Poll,
    /// Where the result goes.
    Result,
    Pointer,
    /// A number with so many known values, or bits.
    Number(u32),
    Oflags,
    Rights,
    /// An offset, a size, a time or a cookie.
    Long,
}

use Kind::{
    Buffer, Descriptor, Directory, File, Long, Number, Oflags, Path, Pointer, Poll, Result as Out, Rights, Vectors,
};

impl Kind {
    /// As parameters of WebAssembly.
    pub fn types(self) -> &'static [&'static str] {
        match self {
            Path | Buffer | Vectors => &["i32", "i32"],
            Poll => &["i32", "i32", "i32"],
            Rights | Long => &["i64"],
            _ => &["i32"],
        }
    }
}

pub struct Function {
    pub name: &'static str,
    pub parameters: &'static [Kind],
    /// How often it is called, beside the others.
    pub weight: usize,
}

const fn function(weight: usize, name: &'static str, parameters: &'static [Kind]) -> Function {
    Function { name, parameters, weight }
}

/// All functions of preview 1. `path_open` is the first: it is what an input that has ended asks for.
pub const FUNCTIONS: [Function; 46] = [
    function(24, "path_open", &[Directory, Number(2), Path, Oflags, Rights, Rights, Number(32), Out]),
    function(8, "fd_read", &[File, Vectors, Out]),
    function(8, "fd_write", &[File, Vectors, Out]),
    function(4, "fd_pread", &[File, Vectors, Long, Out]),
    function(4, "fd_pwrite", &[File, Vectors, Long, Out]),
    function(3, "fd_seek", &[File, Long, Number(3), Out]),
    function(2, "fd_tell", &[File, Out]),
    function(4, "fd_close", &[Descriptor]),
    function(3, "fd_renumber", &[Descriptor, Descriptor]),
    function(5, "fd_readdir", &[Directory, Buffer, Long, Out]),
    function(2, "fd_sync", &[Descriptor]),
    function(2, "fd_datasync", &[Descriptor]),
    function(2, "fd_advise", &[File, Long, Long, Number(6)]),
    function(2, "fd_allocate", &[File, Long, Long]),
    function(2, "fd_fdstat_get", &[Descriptor, Out]),
    function(3, "fd_fdstat_set_flags", &[File, Number(32)]),
    function(1, "fd_fdstat_set_rights", &[Descriptor, Rights, Rights]),
    function(3, "fd_filestat_get", &[Descriptor, Out]),
    function(4, "fd_filestat_set_size", &[File, Long]),
    function(3, "fd_filestat_set_times", &[Descriptor, Long, Long, Number(16)]),
    function(2, "fd_prestat_get", &[Directory, Out]),
    function(2, "fd_prestat_dir_name", &[Directory, Buffer]),
    function(8, "path_create_directory", &[Directory, Path]),
    function(4, "path_filestat_get", &[Directory, Number(2), Path, Out]),
    function(4, "path_filestat_set_times", &[Directory, Number(2), Path, Long, Long, Number(16)]),
    function(6, "path_link", &[Directory, Number(2), Path, Directory, Path]),
    function(4, "path_readlink", &[Directory, Path, Buffer, Out]),
    function(4, "path_remove_directory", &[Directory, Path]),
    function(8, "path_rename", &[Directory, Path, Directory, Path]),
    function(8, "path_symlink", &[Path, Directory, Path]),
    function(4, "path_unlink_file", &[Directory, Path]),
    function(3, "poll_oneoff", &[Poll, Out]),
    function(1, "args_get", &[Pointer, Pointer]),
    function(1, "args_sizes_get", &[Out, Pointer]),
    function(1, "environ_get", &[Pointer, Pointer]),
    function(1, "environ_sizes_get", &[Out, Pointer]),
    function(1, "clock_res_get", &[Number(4), Out]),
    function(1, "clock_time_get", &[Number(4), Long, Out]),
    function(1, "random_get", &[Buffer]),
    function(1, "sched_yield", &[]),
    function(1, "proc_exit", &[Number(3)]),
    function(1, "proc_raise", &[Number(31)]),
    function(1, "sock_accept", &[Descriptor, Number(32), Out]),
    function(1, "sock_recv", &[Descriptor, Vectors, Number(4), Out, Pointer]),
    function(1, "sock_send", &[Descriptor, Vectors, Number(1), Out]),
    function(1, "sock_shutdown", &[Descriptor, Number(4)]),
];

/// How many steps a program has at most.
pub const STEPS: usize = 16;
const PAGE: u32 = 1 << 16;
const RESULTS: u32 = 64;
const LOG: u32 = 1024;
const PROGRAM: u32 = 8192;
const STDIN: u32 = PAGE;
/// Directories named `n` and a name that is too long, so many bytes together.
pub const LONG: (u32, u32) = (2 * PAGE, 5000);
/// So many bytes of [`LONG`] are short names.
pub const SHORT_NAMES: u32 = 4000;
pub const SCRATCH: (u32, u32) = (3 * PAGE, PAGE);

const REPLY: &str = r#"{"status":"ok","output":""#;

/// Two letters for each byte.
pub fn letters(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(b'a' + (byte >> 4)));
        text.push(char::from(b'a' + (byte & 15)));
    }
    text
}

pub fn from_letters(text: &str) -> Vec<u8> {
    text.as_bytes().chunks_exact(2).map(|pair| ((pair[0] - b'a') << 4) | (pair[1] - b'a')).collect()
}

fn signature(function: &Function) -> String {
    let types: Vec<&str> = function.parameters.iter().flat_map(|kind| kind.types()).copied().collect();
    let result = if function.name == "proc_exit" { "" } else { "(result i32)" };
    format!("(param {}) {result}", types.join(" "))
}

/// Calls a function with arguments of the program.
fn call(function: &Function) -> String {
    let types = function.parameters.iter().flat_map(|kind| kind.types());
    let arguments = types.map(|kind| if *kind == "i64" { "(call $arg)" } else { "(i32.wrap_i64 (call $arg))" });
    let call = format!("(call ${} {})", function.name, arguments.collect::<Vec<_>>().join(" "));
    if function.name == "proc_exit" { format!("{call} (return (i32.const 0))") } else { format!("(return {call})") }
}

/// With so many pages behind the others, where a component's adapter may make its own.
pub fn wat(more_pages: u32) -> String {
    let mut imports = String::new();
    let mut cases = format!("(br_table {} (local.get $function))", range(FUNCTIONS.len()));
    for function in &FUNCTIONS {
        let (name, signature) = (function.name, signature(function));
        writeln!(imports, "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {signature}))").unwrap();
        cases = format!("(block {cases})\n{}", call(function));
    }
    let (long, scratch, reply) = (LONG.0, SCRATCH.0, REPLY.len());
    let (names, longer) = ("n/".repeat(SHORT_NAMES as usize / 2), "n".repeat((LONG.1 - SHORT_NAMES) as usize));
    format!(
        r#"(module {imports}
        (memory (export "memory") {})
        (global $at (mut i32) (i32.const {PROGRAM}))
        (data (i32.const {LOG}) "{}")
        (data (i32.const {long}) "{names}{longer}")
        (func $arg (result i64) (local $from i32) (local $value i64)
            (local.set $from (i32.load8_u (global.get $at)))
            (local.set $value (i64.load offset=1 (global.get $at)))
            (global.set $at (i32.add (global.get $at) (i32.const 9)))
            (if (local.get $from) (then
                (local.set $from (i32.load offset={RESULTS} (i32.shl (local.get $from) (i32.const 2))))
                (if (i32.ne (local.get $from) (i32.const -1))
                    (then (local.set $value (i64.extend_i32_u (local.get $from)))))))
            (local.get $value))
        (func $step (param $function i32) (result i32)
            {cases}
            unreachable)
        (func $put (param $fd i32) (param $at i32) (param $end i32)
            (loop $more
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (i32.sub (local.get $end) (local.get $at)))
                (i32.store (i32.const 8) (i32.const 0))
                (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then return))
                (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
                (br_if $more (i32.and (i32.ne (i32.load (i32.const 8)) (i32.const 0))
                    (i32.lt_u (local.get $at) (local.get $end))))))
        (func $letters (param $to i32) (param $word i32) (result i32) (local $shift i32)
            (loop $more
                (i32.store8 (local.get $to) (i32.add (i32.const 97) (i32.and (i32.const 15)
                    (i32.shr_u (local.get $word) (i32.xor (local.get $shift) (i32.const 4))))))
                (local.set $to (i32.add (local.get $to) (i32.const 1)))
                (local.set $shift (i32.add (local.get $shift) (i32.const 4)))
                (br_if $more (i32.lt_u (local.get $shift) (i32.const 32))))
            (local.get $to))
        (func $read (local $end i32) (local $from i32) (local $to i32)
            (local.set $end (i32.const {STDIN}))
            (loop $more
                (i32.store (i32.const 0) (local.get $end))
                (i32.store (i32.const 4) (i32.sub (i32.const {long}) (local.get $end)))
                (i32.store (i32.const 8) (i32.const 0))
                (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
                (local.set $end (i32.add (local.get $end) (i32.load (i32.const 8))))
                (br_if $more (i32.load (i32.const 8))))
            (local.set $from (i32.const {}))
            (local.set $to (i32.const {PROGRAM}))
            (loop $more
                (i32.store8 (local.get $to) (i32.or
                    (i32.shl (i32.sub (i32.load8_u (local.get $from)) (i32.const 97)) (i32.const 4))
                    (i32.sub (i32.load8_u offset=1 (local.get $from)) (i32.const 97))))
                (local.set $to (i32.add (local.get $to) (i32.const 1)))
                (local.set $from (i32.add (local.get $from) (i32.const 2)))
                (br_if $more (i32.ne (i32.load8_u (local.get $from)) (i32.const 34)))))
        (func $fill (local $left i32) (local $len i32)
            (local.set $left (i32.load8_u (global.get $at)))
            (global.set $at (i32.add (global.get $at) (i32.const 1)))
            (loop $more
                (if (i32.eqz (local.get $left)) (then return))
                (local.set $len (i32.load16_u offset=2 (global.get $at)))
                (memory.copy
                    (i32.add (i32.const {scratch}) (i32.load16_u (global.get $at)))
                    (i32.add (global.get $at) (i32.const 4))
                    (local.get $len))
                (global.set $at (i32.add (i32.add (global.get $at) (i32.const 4)) (local.get $len)))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br $more)))
        (func $dump (local $from i32) (local $to i32) (local $word i64)
            (local.set $from (i32.const {scratch}))
            (local.set $to (i32.const {STDIN}))
            (loop $words
                (local.set $word (i64.load (local.get $from)))
                (loop $bytes
                    (if (i64.ne (local.get $word) (i64.const 0)) (then
                        (if (i64.ne (i64.and (local.get $word) (i64.const 255)) (i64.const 0)) (then
                            (i64.store8 (local.get $to) (local.get $word))
                            (local.set $to (i32.add (local.get $to) (i32.const 1)))))
                        (local.set $word (i64.shr_u (local.get $word) (i64.const 8)))
                        (br $bytes))))
                (local.set $from (i32.add (local.get $from) (i32.const 8)))
                (br_if $words (i32.lt_u (local.get $from) (i32.const {}))))
            (call $put (i32.const 2) (i32.const {STDIN}) (local.get $to)))
        (func (export "_start") (local $left i32) (local $log i32) (local $result i32) (local $at i32) (local $errno i32)
            (call $read)
            (call $fill)
            (local.set $left (i32.load8_u (global.get $at)))
            (global.set $at (i32.add (global.get $at) (i32.const 1)))
            (local.set $log (i32.const {}))
            (local.set $result (i32.const {}))
            (loop $more
                (if (local.get $left) (then
                    (local.set $at (i32.load offset=1 (global.get $at)))
                    (global.set $at (i32.add (global.get $at) (i32.const 5)))
                    (local.set $errno (call $step (i32.load8_u (i32.sub (global.get $at) (i32.const 5)))))
                    (i32.store (local.get $result)
                        (if (result i32) (local.get $errno) (then (i32.const -1)) (else (i32.load (local.get $at)))))
                    (local.set $log (call $letters (local.get $log) (local.get $errno)))
                    (local.set $log (call $letters (local.get $log) (i32.load (local.get $result))))
                    (local.set $result (i32.add (local.get $result) (i32.const 4)))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br $more))))
            (i32.store16 (local.get $log) (i32.const 0x7d22))
            (call $put (i32.const 1) (i32.const {LOG}) (i32.add (local.get $log) (i32.const 2)))
            (call $dump)))"#,
        4 + more_pages,
        REPLY.replace('"', "\\22"),
        STDIN as usize + r#"{"config":""#.len(),
        SCRATCH.0 + SCRATCH.1,
        LOG as usize + reply,
        RESULTS + 4,
    )
}

fn range(count: usize) -> String {
    (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}
