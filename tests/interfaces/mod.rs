//! Components that call the host by the functions of `wasi.wit`, as modules that import these.
//!
//! Memory: results at 16, the output at 200, texts from 1024 on, what is long from 1 MiB on, and over that what the host
//! returns.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part, and may fail loudly")]

use crate::common::component_of;

/// The imports of a body, by the names that it calls them by.
const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "arawn:host/functions" "call" (func $call (param i32 i32 i32 i32 i32)))
    (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
    (import "wasi:random/insecure@0.2.0" "get-insecure-random-bytes" (func $insecure (param i64 i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $timer (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.check-write" (func $room (param i32 i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.write-zeroes" (func $zeroes (param i32 i64 i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.splice" (func $splice (param i32 i32 i64 i32)))
    (import "wasi:cli/stdin@0.2.0" "get-stdin" (func $stdin (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
    (import "wasi:io/error@0.2.0" "[method]error.to-debug-string" (func $told (param i32 i32)))
    (import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
    (import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses" (func $resolve (param i32 i32 i32 i32)))
    (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $tcp (param i32 i32)))
    (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket" (func $udp (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (result i32)))
    (import "wasi:http/types@0.2.0" "[static]fields.from-list" (func $list (param i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]fields.append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]fields.set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]fields.has" (func $has (param i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]fields.clone" (func $clone (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[resource-drop]fields" (func $drop_fields (param i32)))
    (import "wasi:http/types@0.2.0" "[constructor]request-options" (func $options (result i32)))
    (import "wasi:http/types@0.2.0" "[method]request-options.set-connect-timeout"
        (func $connect_timeout (param i32 i32 i64) (result i32)))
    (import "wasi:http/types@0.2.0" "[constructor]outgoing-request" (func $request (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-request.body" (func $body (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-path-with-query"
        (func $path (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-authority"
        (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-scheme"
        (func $scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-method"
        (func $method (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[resource-drop]outgoing-request" (func $drop_request (param i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-body.write" (func $stream (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]incoming-response.status" (func $status (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]incoming-response.headers" (func $headers (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]incoming-response.consume" (func $consume (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]incoming-body.stream" (func $received (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[resource-drop]incoming-response" (func $drop_response (param i32)))
    (import "wasi:http/outgoing-handler@0.2.0" "handle" (func $handle (param i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]future-incoming-response.subscribe" (func $answer (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]future-incoming-response.get" (func $get (param i32 i32)))
"#;

/// A component with a memory of so many MiB that holds texts, and does `body`, with `$i` to count in and more to keep handles
/// in. What it has called `$output` with is its output, in four digits.
pub fn guest(mib: u32, texts: &[(u32, &str)], functions: &str, body: &str) -> Vec<u8> {
    let texts: String = texts.iter().map(|(at, text)| format!("(data (i32.const {at}) {text:?})")).collect();
    let used = |import: &&str| import.split('$').nth(1).is_some_and(|name| is_called(name, &[functions, body]));
    let imports: Vec<String> =
        IMPORTS.split("\n    (import ").map(|import| format!("(import {import}")).skip(1).collect();
    let imports: String = imports.iter().map(String::as_str).filter(used).collect();
    let mut module = wat::parse_str(format!(
        r#"(module {imports}
        (memory (export "memory") {})
        (data (i32.const 200) "{{\22status\22:\22ok\22,\22output\22:\220000\22}}") {texts}
        ;; Of this size are the parts of the adapter's own memory.
        (global $next (mut i32) (i32.const 131072))
        (func (export "cabi_realloc") (param i32 i32 i32) (param $len i32) (result i32)
            (if (i32.ne (local.get $len) (i32.const 65536)) (then (return (i32.const 1048576))))
            (global.set $next (i32.add (global.get $next) (local.get $len)))
            (i32.sub (global.get $next) (local.get $len)))
        (func $output (param $n i32) (local $at i32)
            (local.set $at (i32.const 228))
            (loop $more
                (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
                (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
                (br_if $more
                    (i32.ge_u (local.tee $at (i32.sub (local.get $at) (i32.const 1))) (i32.const 225))))
            (i32.store (i32.const 0) (i32.const 200))
            (i32.store (i32.const 4) (i32.const 31))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        {functions}
        (func (export "_start") (local $i i32) (local $stdin i32) (local $fields i32) (local $request i32) (local $handle i32)
            {body}))"#,
        mib * 16,
    ))
    .unwrap_or_else(|error| panic!("{error}"));
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("wasi.wit", include_str!("wasi.wit")).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8).unwrap();
    component_of(&module)
}

fn is_called(import: &str, by: &[&str]) -> bool {
    let name: String = import.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    name == "fd_write" || by.iter().any(|text| text.split("(call $").skip(1).any(|call| call_name(call) == name))
}

fn call_name(call: &str) -> &str {
    call.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// Does something so many times, by `$i`.
pub fn times(count: u32, what: &str) -> String {
    format!(
        "(local.set $i (i32.const 0)) (loop $again {what}
            (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {count}))))"
    )
}
