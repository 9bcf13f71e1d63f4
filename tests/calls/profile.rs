//! Profiles: where guests spend their time, sampled while they run.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::{
    CacheDir, CallOptions, Capabilities, Code, Deterministic, Error, ExecutorConfig, GrantedDir, Profile, Profiler,
    RequestLimits, RuntimeInput, RuntimeOutput, ScriptExecutor,
};
use common::{Catalog, assert_within, component_of, root};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FINEST: Duration = Duration::from_micros(100);

/// A guest whose functions are those of `functions`, of which `$main` is called by `_start`.
fn guest(functions: &str) -> String {
    let answer = r#"{\22status\22:\22ok\22,\22output\22:1}"#;
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "{answer}")
        {functions}
        (func $_start (export "_start")
            (call $main)
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 26))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

/// A function that turns in a loop so many times.
fn turning(name: &str, turns: u32) -> String {
    format!(
        "(func {name} (local $i i32)
            (loop $next
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (i32.const {turns})))))"
    )
}

/// Nine tenths of the turns are in `hot`, one tenth in `cold`.
fn hot_and_cold() -> String {
    let main = "(func $main (local $i i32)
        (loop $next
            (call $hot) (call $cold)
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 100)))))";
    guest(&(turning("$hot", 90_000) + &turning("$cold", 10_000) + main))
}

fn executor(catalog: &Catalog) -> ScriptExecutor {
    executor_with(catalog, ExecutorConfig::default())
}

fn executor_with(catalog: &Catalog, config: ExecutorConfig) -> ScriptExecutor {
    let runtimes_dir = Some(catalog.path().to_owned());
    ScriptExecutor::new(ExecutorConfig { runtimes_dir, cache_dir: CacheDir::Off, ..config }).unwrap()
}

fn input() -> RuntimeInput<'static> {
    RuntimeInput::from_json("{}").unwrap()
}

fn within(timeout_ms: u64) -> CallOptions<'static> {
    let limits = RequestLimits { timeout_ms: Some(timeout_ms), ..RequestLimits::default() };
    CallOptions { limits, ..CallOptions::default() }
}

fn profiled(executor: &ScriptExecutor, runtime: &str, profiler: &Profiler) -> Result<RuntimeOutput, Error> {
    executor.profile_runtime(runtime, &input(), &CallOptions::default(), profiler)
}

/// The profile of so many samples.
fn profile(executor: &ScriptExecutor, runtime: &str, samples: u64) -> Profile {
    let profiler = Profiler::every(FINEST).unwrap();
    while profiler.samples() < samples {
        assert_eq!(profiled(executor, runtime, &profiler).unwrap().output(), "1");
    }
    profiler.profile()
}

fn stacks(profile: &Profile) -> BTreeSet<String> {
    let names = |stack: &[usize]| stack.iter().map(|at| &*profile.functions[*at].name).collect::<Vec<_>>().join(";");
    profile.stacks.iter().map(|stack| names(&stack.functions)).collect()
}

fn own(profile: &Profile, name: &str) -> u64 {
    profile.functions.iter().filter(|function| function.name == name).map(|function| function.self_samples).sum()
}

/// What every profile of `hot_and_cold` is. Other functions may stand between the host and `_start`.
#[track_caller]
fn assert_hot(profile: &Profile) {
    assert_eq!(profile.functions[0].name, "hot", "{profile:?}");
    assert!(own(profile, "hot") > 3 * own(profile, "cold"), "{profile:?}");
    let known = ["_start", "_start;main", "_start;main;cold", "_start;main;hot"];
    let stacks = stacks(profile);
    assert!(stacks.iter().any(|stack| stack.ends_with("_start;main;hot")), "{stacks:?}");
    let is_known = |stack: &String| known.iter().any(|known| stack.ends_with(known));
    assert!(stacks.iter().filter(|stack| stack.contains("main")).all(is_known), "{stacks:?}");
    let main = profile.functions.iter().find(|function| function.name == "main").unwrap();
    assert!(main.total_samples >= own(profile, "hot") + own(profile, "cold"), "{profile:?}");
    let counted: u64 = profile.functions.iter().map(|function| function.self_samples).sum();
    assert_eq!((counted, profile.left_out), (profile.samples, 0), "{profile:?}");
}

#[test]
fn the_function_that_takes_most_of_the_time_has_most_of_the_samples() {
    let catalog = Catalog::new().with("busy", &hot_and_cold());
    let profile = profile(&executor(&catalog), "busy", 100);
    assert_hot(&profile);
    assert!(stacks(&profile).iter().all(|stack| stack.starts_with("_start")), "{profile:?}");
    assert!(profile.samples >= 100);
}

#[test]
fn guests_of_every_kind_are_sampled() {
    let catalog = Catalog::new().with("busy", &hot_and_cold()).with_component("component", &hot_and_cold());
    let shared = tempfile::tempdir().unwrap();
    let (host, guest) = (shared.path().to_owned(), "/shared".to_owned());
    let dir = GrantedDir { host, guest, write: false, bytes: None };
    // On a stack of its own, with counted fuel, and both.
    let dirs = Capabilities { dirs: vec![dir], ..Capabilities::default() };
    let fixed = Some(Deterministic { seed: 1, unix_time: 0 });
    for config in [
        ExecutorConfig { capabilities: dirs.clone(), ..ExecutorConfig::default() },
        ExecutorConfig { deterministic: fixed, ..ExecutorConfig::default() },
        ExecutorConfig { capabilities: dirs.clone(), deterministic: fixed, ..ExecutorConfig::default() },
    ] {
        assert_hot(&profile(&executor_with(&catalog, config), "busy", 40));
    }
    assert_hot(&profile(&executor(&catalog), "component", 40));
}

#[test]
fn fuel_and_output_are_those_of_a_call_that_is_not_profiled() {
    let catalog = Catalog::new().with("busy", &hot_and_cold());
    let deterministic = Some(Deterministic { seed: 1, unix_time: 0 });
    let executor = executor_with(&catalog, ExecutorConfig { deterministic, ..ExecutorConfig::default() });
    let plain = executor.execute_runtime("busy", &input()).unwrap();
    let profiler = Profiler::every(FINEST).unwrap();
    let sampled = profiled(&executor, "busy", &profiler).unwrap();
    assert!(profiler.samples() > 0);
    let fuel = |output: &RuntimeOutput| output.meta().unwrap().fuel.unwrap();
    assert_eq!((fuel(&sampled), sampled.output()), (fuel(&plain), plain.output()));
}

#[test]
fn an_interpreter_is_sampled_in_place_of_its_script() {
    let loops = "export default () => { let n = 0; for (let i = 0; i < 3e6; i++) n += i % 7; return 1 }";
    let lua = "return function() local n = 0 for i = 1, 3000000 do n = n + i % 7 end return 1 end";
    let catalog = Catalog::new();
    std::fs::write(catalog.path().join("custom/j.js"), loops).unwrap();
    std::fs::write(catalog.path().join("custom/l.lua"), lua).unwrap();
    let catalog = catalog
        .entry("j", "script = \"custom/j.js\"")
        .entry("l", "script = \"custom/l.lua\"")
        .entry("s", "script = \"custom/l.lua\"\nsnapshot = \"init\"");
    let executor = executor(&catalog);
    for runtime in ["j", "l", "s"] {
        let profile = profile(&executor, runtime, 20);
        assert!(profile.functions[0].self_samples * 4 > profile.samples, "{profile:?}");
    }
}

#[test]
fn nothing_is_sampled_that_nobody_asks_for() {
    let other = hot_and_cold().replace("$hot", "$other_hot").replace("$main", "$other_main");
    let catalog = Catalog::new().with("busy", &hot_and_cold()).with("other", &other);
    let executor = executor(&catalog);
    let profiler = Profiler::every(FINEST).unwrap();
    assert_eq!(executor.execute_runtime("busy", &input()).unwrap().output(), "1");
    assert_eq!((profiler.samples(), profiler.profile()), (0, Profile::default()));
    let done = AtomicBool::new(false);
    let (calls, profile) = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(executor.execute_runtime("other", &input()).unwrap().output(), "1");
                calls += 1;
            }
            calls
        });
        while profiler.samples() < 100 {
            profiled(&executor, "busy", &profiler).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        (others.join().unwrap(), profiler.profile())
    });
    assert!(calls > 0);
    assert_hot(&profile);
    assert!(profile.functions.iter().all(|function| !function.name.contains("other")), "{profile:?}");
}

#[test]
fn calls_that_are_profiled_at_the_same_time_have_profiles_of_their_own() {
    let other = hot_and_cold().replace("$hot", "$other_hot").replace("$main", "$other_main");
    let catalog = Catalog::new().with("busy", &hot_and_cold()).with("other", &other);
    let executor = executor(&catalog);
    let (one, two) = std::thread::scope(|scope| {
        let two = scope.spawn(|| profile(&executor, "other", 60));
        (profile(&executor, "busy", 60), two.join().unwrap())
    });
    assert_hot(&one);
    assert_eq!(two.functions[0].name, "other_hot", "{two:?}");
    let names =
        |profile: &Profile| profile.functions.iter().map(|function| function.name.clone()).collect::<BTreeSet<_>>();
    let common: Vec<String> = names(&one).intersection(&names(&two)).cloned().collect();
    assert!(common.iter().all(|name| name == "_start" || name == "cold"), "{common:?}");
}

#[test]
fn a_deadline_holds_and_the_samples_until_then_are_kept() {
    let endless = guest("(func $spin (loop $forever (br $forever))) (func $main (call $spin))");
    let catalog = Catalog::new().with("endless", &endless);
    let executor = executor(&catalog);
    let profiler = Profiler::every(FINEST).unwrap();
    let call = |timeout_ms| executor.profile_runtime("endless", &input(), &within(timeout_ms), &profiler);
    while profiler.samples() == 0 {
        // The first calls may end while the module is compiled.
        assert_eq!(call(20).unwrap_err().as_code(), Code::Timeout);
    }
    assert_within(20, "the deadline", || {
        let begun = Instant::now();
        let error = call(100).unwrap_err();
        assert_eq!(error.as_code(), Code::Timeout);
        assert!(begun.elapsed() >= Duration::from_millis(100));
        begun.elapsed() - Duration::from_millis(100)
    });
    let profile = profiler.profile();
    assert_eq!(profile.functions[0].name, "spin", "{profile:?}");
    assert!(stacks(&profile).contains("_start;main;spin"), "{profile:?}");
}

#[test]
fn a_profiled_call_can_be_cancelled() {
    let endless = guest("(func $spin (loop $forever (br $forever))) (func $main (call $spin))");
    let catalog = Catalog::new().with("endless", &endless);
    let executor = executor(&catalog);
    let profiler = Profiler::every(FINEST).unwrap();
    let options = CallOptions { job: Some("it"), ..CallOptions::default() };
    std::thread::scope(|scope| {
        let call = scope.spawn(|| executor.profile_runtime("endless", &input(), &options, &profiler));
        while profiler.samples() == 0 && !call.is_finished() {
            std::thread::yield_now();
        }
        executor.cancel("it").unwrap();
        assert_eq!(call.join().unwrap().unwrap_err().as_code(), Code::Cancelled);
    });
    assert_eq!(profiler.profile().functions[0].name, "spin");
}

#[test]
fn an_error_is_that_of_a_call_that_is_not_profiled() {
    let catalog = common::trapping().with("exits", &common::writer(b"", b"said", "(call $exit (i32.const 3))"));
    let executor = executor(&catalog);
    let profiler = Profiler::every(FINEST).unwrap();
    for runtime in ["bounds", "unreachable", "division", "recursion", "exits", "passthrow"] {
        let plain = executor.execute_runtime(runtime, &input()).unwrap_err();
        let sampled = profiled(&executor, runtime, &profiler).unwrap_err();
        let told = |error: &Error| (error.code(), error.to_string(), error.details());
        assert_eq!(told(&sampled), told(&plain), "{runtime}");
    }
}

#[test]
fn a_stack_that_is_too_deep_is_cut_at_its_outer_end() {
    let deep = "(func $down (param $n i32)
            (if (local.get $n)
                (then (call $down (i32.sub (local.get $n) (i32.const 1))))
                (else (call $bottom))))
        (func $main (call $down (i32.const 3000)))";
    let catalog = Catalog::new().with("deep", &guest(&(turning("$bottom", 5_000_000) + deep)));
    let executor = executor(&catalog);
    let profile = profile(&executor, "deep", 20);
    let longest = profile.stacks.iter().max_by_key(|stack| stack.functions.len()).unwrap();
    let names: Vec<&str> = longest.functions.iter().map(|at| &*profile.functions[*at].name).collect();
    assert_eq!((names.len(), names[0], names[512]), (513, "[deeper stack]", "bottom"));
    assert!(names[1..512].iter().all(|name| *name == "down"), "{names:?}");
    let down = profile.functions.iter().find(|function| function.name == "down").unwrap();
    assert!(down.total_samples <= profile.samples, "a function counts once a sample: {down:?}");
}

/// Each path through 40 calls of one of two functions is another stack.
#[test]
fn endlessly_different_stacks_take_a_bounded_profile() {
    let step = |own: &str| {
        format!(
            "(func {own} (param $depth i32) (param $way i64)
                (if (i32.eqz (local.get $depth)) (then (call $wait)) (else
                    (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
                    (local.set $way (i64.rotl (i64.mul (local.get $way) (i64.const 6364136223846793005)) (i64.const 13)))
                    (if (i64.lt_s (local.get $way) (i64.const 0))
                        (then (call $a (local.get $depth) (local.get $way)))
                        (else (call $b (local.get $depth) (local.get $way)))))))"
        )
    };
    let main = "(func $main (local $i i64)
        (loop $next
            (call $a (i32.const 40) (i64.add (local.get $i) (i64.const 12345)))
            (local.set $i (i64.add (local.get $i) (i64.const 1)))
            (br_if $next (i64.lt_u (local.get $i) (i64.const 10000)))))";
    let guest = guest(&(turning("$wait", 20_000) + &step("$a") + &step("$b") + main));
    let catalog = Catalog::new().with("many", &guest);
    let executor = executor(&catalog);
    let profiler = Profiler::every(FINEST).unwrap();
    let profile = loop {
        profiled(&executor, "many", &profiler).unwrap();
        let profile = profiler.profile();
        if profile.left_out > 100 {
            break profile;
        }
    };
    let nodes: usize = profile.stacks.iter().map(|stack| stack.functions.len()).sum();
    assert!(profile.stacks.len() > 1000 && profile.stacks.len() <= 1 << 16, "{}", profile.stacks.len());
    assert!(profile.functions.len() <= 6 && nodes <= 44 << 16, "{:?}", profile.functions);
    assert_eq!(profiler.samples(), profile.samples);
}

#[test]
fn names_that_a_guest_chooses_are_cut_and_cleaned() {
    let functions = turning(&format!("(@name \"{}\")", "x".repeat(100_000)), 500_000)
        + &turning(r#"(@name "a;b\0a\1b[2J\e2\80\ae<script>\00")"#, 500_000)
        + &turning("(@name \"_ZN4core9panicking5panic17h0123456789abcdefE\")", 500_000)
        + "(func $main (call 1) (call 2) (call 3))";
    let catalog = Catalog::new().with("named", &guest(&functions));
    let executor = executor(&catalog);
    let profile = profile(&executor, "named", 60);
    let names: BTreeSet<&str> = profile.functions.iter().map(|function| &*function.name).collect();
    let long = "x".repeat(200) + "…";
    for name in [&*long, "a;b\\n\\u{1b}[2J\\u{202e}<script>\\u{0}", "core::panicking::panic"] {
        assert!(names.contains(name), "no {name} in {names:?}");
    }
}

#[test]
fn a_function_is_told_with_the_line_at_which_it_was_most_often() {
    let catalog = Catalog::new();
    std::fs::copy(root().join("tests/lines/traps.wasm"), catalog.module("traps")).unwrap();
    let catalog = catalog.entry("spin", "path = \"custom/traps.wasm\"\nargs = [\"spin\"]");
    let executor = executor(&catalog);
    let source = std::fs::read_to_string(root().join("tests/lines/traps.c")).unwrap();
    let line = source.lines().position(|line| line.contains("/* line: spin */")).unwrap() + 1;
    let begun = Instant::now();
    loop {
        let profiler = Profiler::every(FINEST).unwrap();
        let called = executor.profile_runtime("spin", &input(), &within(200), &profiler);
        assert_eq!(called.unwrap_err().as_code(), Code::Timeout);
        let profile = profiler.profile();
        let location = profile.functions.first().and_then(|function| function.location.as_deref());
        let line_of = |location: &str| location.strip_prefix("traps.c:").unwrap().parse::<usize>().unwrap();
        if let Some(told) = location.map(line_of) {
            // The loop's beginning counts to the line of the function's.
            assert!((line - 2..=line).contains(&told), "{line}: {profile:?}");
            break;
        }
        // On a busy machine a search may take longer than a second.
        assert!(begun.elapsed() < Duration::from_secs(60), "{profile:?}");
    }
}

#[test]
fn an_interval_has_bounds() {
    for micros in [0, 99, 2001] {
        let error = Profiler::every(Duration::from_micros(micros)).unwrap_err();
        let text = format!("`interval` must be from 100 to 2000 µs, and is {micros} µs");
        assert_eq!((error.as_code(), error.to_string()), (Code::InvalidRequest, text));
    }
    assert!([100, 2000].iter().all(|micros| Profiler::every(Duration::from_micros(*micros)).is_ok()));
}

#[test]
fn a_file_that_is_a_component_is_told_by_its_modules() {
    let wasm = component_of(&wat::parse_str(hot_and_cold().replace("(module", "(module $inner")).unwrap());
    let profile = {
        let catalog = Catalog::new().with_bytes("component", &wasm);
        profile(&executor(&catalog), "component", 20)
    };
    let module = |name: &str| profile.functions.iter().find(|function| function.name == name).unwrap().module.clone();
    assert_eq!(module("hot").as_deref(), Some("inner"), "{profile:?}");
}
