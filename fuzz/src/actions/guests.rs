//! The guests that the actions run, each a few lines of WAT.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Answer,
    Bounds,
    Unreachable,
    Division,
    Recursion,
    Loop,
    /// Sleeps for 2 ms, then answers.
    Nap,
    /// Sleeps for 10 s, then answers.
    Sleep,
    /// Grows its memory until that is refused, then fails.
    Grow,
    /// Answers 8 KiB.
    Stdout,
    /// Writes 96 KiB to stderr, then answers.
    Stderr,
    /// Answers what the host function `f` answers.
    Ask,
    /// Writes its word to a file.
    Write,
    /// Answers what is in that file.
    Read,
    Exit,
    /// Answers an error.
    Fails,
    Malformed,
    Component,
    NoWasm,
    NoImport,
}

const KINDS: [Kind; 24] = [
    Kind::Answer,
    Kind::Bounds,
    Kind::Unreachable,
    Kind::Division,
    Kind::Recursion,
    Kind::Loop,
    Kind::Nap,
    Kind::Sleep,
    Kind::Grow,
    Kind::Stdout,
    Kind::Stderr,
    Kind::Ask,
    Kind::Write,
    Kind::Read,
    Kind::Exit,
    Kind::Fails,
    Kind::Malformed,
    Kind::Component,
    Kind::NoWasm,
    Kind::NoImport,
    Kind::Answer,
    Kind::Answer,
    Kind::Ask,
    Kind::Write,
];

/// A guest, and which version of it: each answers its own word.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guest {
    pub kind: Kind,
    pub version: u8,
}

static MODULES: LazyLock<Mutex<HashMap<Guest, Arc<[u8]>>>> = LazyLock::new(Mutex::default);

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())
    }
}

impl Guest {
    /// One for each byte. There are few versions, so that most of them are compiled already.
    pub fn of(byte: u8) -> Self {
        let kind = KINDS[usize::from(byte) % KINDS.len()];
        let versions = match kind {
            Kind::Answer => 5,
            Kind::Ask | Kind::Write | Kind::Nap | Kind::Exit => 2,
            _ => 1,
        };
        Guest { kind, version: byte / KINDS.len() as u8 % versions }
    }

    pub fn word(self) -> String {
        format!("{:?}-{}", self.kind, self.version)
    }

    pub fn is_valid(self) -> bool {
        !matches!(self.kind, Kind::NoWasm | Kind::NoImport)
    }

    /// Whether it ends by itself, within a few milliseconds.
    pub fn is_quick(self) -> bool {
        !matches!(self.kind, Kind::Loop | Kind::Sleep | Kind::Ask)
    }

    pub fn bytes(self) -> Arc<[u8]> {
        MODULES.lock().unwrap().entry(self).or_insert_with(|| self.build().into()).clone()
    }

    /// The guest that a file holds, if it is one that was asked for before.
    pub fn known(bytes: &[u8]) -> Option<Self> {
        MODULES.lock().unwrap().iter().find_map(|(guest, known)| (**known == *bytes).then_some(*guest))
    }

    fn build(self) -> Vec<u8> {
        let word = self.word();
        match self.kind {
            Kind::NoWasm => return word.into_bytes(),
            Kind::NoImport => {
                let text = format!(r#"(module (import "nowhere" "{word}" (func)) (func (export "_start")))"#);
                return wat::parse_str(text).unwrap();
            }
            _ => {}
        }
        let prefix = if self.kind == Kind::Fails { FAILED } else { PREFIX };
        let answer = format!(r#"{prefix}"{word}"}}"#);
        let put_answer = put(1, 1024, answer.len());
        let sleep = |ms: u64| {
            format!(
                "(i32.store (i32.const 4112) (i32.const 1))
                (i64.store (i32.const 4120) (i64.const {}))
                (drop (call $poll (i32.const 4096) (i32.const 8192) (i32.const 1) (i32.const 8)))
                {put_answer}",
                ms * 1_000_000
            )
        };
        let open = |flags: u32, right: u32, then: &str| {
            format!(
                "(local $error i32)
                (local.set $error (call $open (i32.const 3) (i32.const 0) (i32.const 3072) (i32.const 4)
                    (i32.const {flags}) (i64.const {right}) (i64.const 0) (i32.const 0) (i32.const 8)))
                (if (local.get $error) (then
                    (i32.store8 (i32.const 2074) (i32.add (i32.const 48) (i32.div_u (local.get $error) (i32.const 10))))
                    (i32.store8 (i32.const 2075) (i32.add (i32.const 48) (i32.rem_u (local.get $error) (i32.const 10))))
                    {}) (else {then}))",
                put(1, 2048, 30)
            )
        };
        let body = match self.kind {
            Kind::Bounds => "(drop (i32.load (i32.const -8)))".to_owned(),
            Kind::Unreachable => "unreachable".to_owned(),
            Kind::Division => "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 32))))".to_owned(),
            Kind::Recursion => "(call $start)".to_owned(),
            Kind::Loop => "(loop $again (br $again))".to_owned(),
            Kind::Nap => sleep(2),
            Kind::Sleep => sleep(10_000),
            Kind::Grow => {
                "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable"
                    .to_owned()
            }
            Kind::Stdout => format!(
                "{} (memory.fill (i32.const 16384) (i32.const 97) (i32.const 8192)) {} {}",
                put(1, 1024, PREFIX.len() + 1),
                put(1, 16384, 8192),
                put(1, 1024 + answer.len() - 2, 2)
            ),
            Kind::Stderr => format!("{0} {0} {0} {put_answer}", put(2, 16384, 32768)),
            Kind::Ask => format!(
                "(local $len i32)
                (local.set $len (call $ask (i32.const 3080) (i32.const 1) (i32.const {}) (i32.const {})))
                (if (i32.ne (local.get $len) (call $reply (i32.const 16384) (i32.const 32768))) (then unreachable))
                {}
                (call $put (i32.const 1) (i32.const 16384) (local.get $len))
                {}",
                1024 + PREFIX.len(),
                word.len() + 2,
                put(1, 1024, PREFIX.len()),
                put(1, 1024 + answer.len() - 1, 1)
            ),
            Kind::Write => {
                let write = format!(
                    "(call $put (i32.load (i32.const 8)) (i32.const {}) (i32.const {})) {put_answer}",
                    1024 + PREFIX.len() + 1,
                    word.len()
                );
                // Created and emptied, for writing.
                open(1 | 8, 1 << 6, &write)
            }
            Kind::Read => open(
                0,
                1 << 1,
                &format!(
                    "(i32.store (i32.const 16) (i32.const 16384)) (i32.store (i32.const 20) (i32.const 64))
                    (drop (call $read (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 24)))
                    {} (call $put (i32.const 1) (i32.const 16384) (i32.load (i32.const 24))) {}",
                    put(1, 1024, PREFIX.len() + 1),
                    put(1, 1024 + answer.len() - 2, 2)
                ),
            ),
            Kind::Exit => "(call $exit (i32.const 3))".to_owned(),
            Kind::Malformed => put(1, 3072, 4),
            _ => put_answer,
        };
        let escape = |text: &str| text.replace('"', "\\22");
        // A component has what its adapter knows.
        let more = match self.kind {
            Kind::Component => "",
            _ => {
                r#"(import "arawn" "host_call" (func $ask (param i32 i32 i32 i32) (result i32)))
                (import "arawn" "host_reply" (func $reply (param i32 i32) (result i32)))"#
            }
        };
        let module = wat::parse_str(format!(
            r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            {more}
            (memory (export "memory") 1)
            (data (i32.const 1024) "{}")
            (data (i32.const 2048) "{}")
            (data (i32.const 3072) "note")
            (data (i32.const 3080) "f")
            (func $put (param $fd i32) (param $at i32) (param $len i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 12))))
            (func $start (export "_start") {body}))"#,
            escape(&answer),
            escape(r#"{"status":"ok","output":"e00"}"#),
        ))
        .unwrap_or_else(|error| panic!("{self:?}: {error}"));
        if self.kind == Kind::Component { component_of(&module) } else { module }
    }
}

const PREFIX: &str = r#"{"status":"ok","output":"#;
const FAILED: &str = r#"{"status":"error","error":"#;

fn put(fd: u32, at: usize, len: usize) -> String {
    format!("(call $put (i32.const {fd}) (i32.const {at}) (i32.const {len}))")
}

fn component_of(module: &[u8]) -> Vec<u8> {
    use wasi_preview1_component_adapter_provider as provider;
    let (name, adapter) =
        (provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER);
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module).unwrap();
    encoder.adapter(name, adapter).unwrap().encode().unwrap()
}
