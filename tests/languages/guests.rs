//! Guests in other languages, as `make guests` builds them: what docs/runtimes says of each is done here, in each way that
//! an executor may be given them, and with much to read and to write.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../book/page.rs"]
#[allow(dead_code, reason = "the tests of the book use the rest")]
mod page;

use arawn::ffi::{arawn_catalog_register, arawn_executor_close};
use common::{Catalog, execute, in_new_process, ok, root, run};
use page::Page;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn page(name: &str) -> Page {
    Page::read(&root().join("docs/runtimes").join(name))
}

fn parsed(text: &str) -> Value {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The request by which a page registers a runtime.
fn registration(page: &Page, runtime: &str) -> Value {
    let mut requests = page.calls("arawn_catalog_register").map(|(request, _)| parsed(request));
    requests.find(|request| request["name"] == runtime).unwrap()
}

/// A page's calls of a runtime with their replies.
fn calls(page: &Page, runtime: &str) -> Vec<(Value, Value)> {
    let calls = page.calls("arawn_execute_runtime").map(|(request, reply)| (parsed(request), parsed(reply.unwrap())));
    let calls: Vec<_> = calls.filter(|(request, _)| request["runtime"] == runtime).collect();
    assert!(calls.iter().any(|(_, reply)| reply["status"] == "ok"), "{runtime}");
    assert!(calls.iter().any(|(_, reply)| reply["code"] == "runtime_error"), "{runtime}");
    calls
}

/// Makes a page's calls of a runtime and one with much to read and to write: as `catalog.toml` names the runtime, as it is
/// registered, and in another process, which has the code from the disk cache. `memory_bytes` is what its guest may have.
fn proves(page: &Page, name: &str, memory_bytes: u64, large: (Value, Value)) {
    let (mut registration, mut calls) = (registration(page, name), calls(page, name));
    let file = root().join(format!("target/guests/{name}.wasm"));
    registration["path"] = json!(file);
    let Ok(wasm) = fs::read(&file) else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: make guests", file.display());
        #[allow(clippy::explicit_write, reason = "the harness hides what a passing test prints with eprintln")]
        writeln!(std::io::stderr(), "skipped, {} is missing: make guests", file.display()).unwrap();
        return;
    };
    let large_request = json!({"executor": "main", "runtime": name, "input": large.0});
    calls.push((large_request, json!({"status": "ok", "output": large.1})));

    let cache = tempfile::tempdir().unwrap();
    // The deadline is for a compiler in a debug build on a busy machine.
    let limits = json!({"memory_bytes": memory_bytes, "timeout_ms": 300_000});
    let config = json!({"cache_dir": cache.path(), "limits": limits});
    let requests = |id: &str| -> Vec<Value> {
        let with_meta = |(request, _): &(Value, Value)| {
            let mut request = request.clone();
            (request["executor"], request["meta"]) = (json!(id), json!(true));
            request
        };
        calls.iter().map(with_meta).collect()
    };
    let check = |replies: Vec<Value>, first_from: &str| {
        for (turn, ((_, expected), mut reply)) in calls.iter().zip(replies).enumerate() {
            if expected["status"] == "ok" {
                let meta = reply.as_object_mut().unwrap().remove("meta").unwrap_or_else(|| panic!("{reply}"));
                assert_eq!(meta["cache"], if turn == 0 { first_from } else { "memory" }, "{meta}");
            }
            assert_eq!(&reply, expected, "{name}");
        }
    };

    let catalog = Catalog::new().with_bytes(name, &wasm);
    let by_hand = catalog.executor_with(config.clone());
    check(requests(&by_hand).iter().map(execute).collect(), "compiled");

    let catalog = Catalog::new();
    let registered = catalog.executor_with(config.clone());
    let mut request = registration.clone();
    request["executor"] = json!(registered);
    let shown = ok(arawn_catalog_register, &request);
    assert_eq!(shown["description"], registration["description"]);
    check(requests(&registered).iter().map(execute).collect(), "memory");

    // Waits for what is being written into the cache.
    ok(arawn_executor_close, &json!({"executor": by_hand}));
    let mut opened = config;
    (opened["id"], opened["runtimes_dir"]) = (json!("main"), json!(catalog.path()));
    let mut lines = vec![("arawn_executor_new", opened)];
    lines.extend(requests("main").into_iter().map(|request| ("arawn_execute_runtime", request)));
    check(in_new_process(&lines).split_off(1), "disk");
}

#[test]
fn c_counts_words() {
    let line = "Ünïcode, \"quoted\"\tand \u{1F600}\\\u{0} escaped\n";
    let text = line.repeat(10_000);
    let counted = json!({"lines": 10_000, "words": 50_000, "characters": text.chars().count(), "bytes": text.len()});
    proves(&page("c.md"), "words", 4 << 20, (json!({"context": {"text": text}}), counted));
}

#[test]
fn c_with_setjmp_computes() {
    let (depth, sums) = (500, "(1 + ".repeat(500));
    let expression = format!("{sums}1{}", ")".repeat(depth));
    proves(&page("c.md"), "calc", 4 << 20, (json!({"context": {"expression": expression}}), json!(depth + 1)));
}

#[test]
fn go_reads_csv() {
    let (mut text, mut records) = ("number,text\r\n".to_owned(), Vec::new());
    for n in 0..10_000 {
        text += &format!("{n},\"<\u{1F600}> says \"\"{n}\"\",\nand more\"\r\n");
        records.push(json!({"number": n.to_string(), "text": format!("<\u{1F600}> says \"{n}\",\nand more")}));
    }
    proves(&page("go.md"), "csv", 32 << 20, (json!({"context": {"text": text}}), json!(records)));
}

#[test]
fn python_describes_numbers() {
    let numbers: Vec<u32> = (0..100_001).collect();
    let described = json!({
        "count": 100_001, "mean": 50_000, "median": 50_000, "quartiles": [24_999.5, 50_000.0, 75_000.5],
        // The square root of n (n + 1) / 12, with n for the numbers there are.
        "stdev": (100_001.0_f64 * 100_002.0 / 12.0).sqrt(),
    });
    proves(&page("python.md"), "statistics", 64 << 20, (json!({"context": {"numbers": numbers}}), described));
}

#[test]
fn javascript_finds_matches() {
    let text = "\u{1F600} Ünïcode ".repeat(10_000);
    let found: Vec<Value> =
        (0..10_000).map(|n| json!({"index": n * 11 + 3, "text": "Ünïcode", "groups": {"first": "Ü"}})).collect();
    let input = json!({"config": {"pattern": "(?<first>\\S)\\S{2,}", "flags": "u"}, "context": {"text": text}});
    proves(&page("javascript.md"), "matches", 64 << 20, (input, json!(found)));
}

/// What is not JSON does not pass the host, so the C guest is asked without one, under sanitizers.
#[test]
fn the_c_guest_reads_json_strictly() {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("words-{}", std::process::id()));
    let mut compile = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compile.args(["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined"]);
    run(compile.arg(root().join("runtimes/guests/c/words.c")).arg("-o").arg(&program));
    let answer = |input: &str| -> Value {
        let mut child = Command::new(&program)
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{input}: {error}"))
    };
    let values = r#"0 ; -0 ; 10 ; -1.5e+3 ; 1E9 ; true ; false ; null ; "" ; "\u00e9\n\\\"\/" ; "é" ; [] ; [ ] ; {} ; { } ;
        [1,[2,{"a":[]}]] ; {"a":{},"b":[0]} ; 01 ; - ; +1 ; .5 ; 1. ; 1e ; 1e+ ; 0x1 ; tru ; True ; nul ; nan ; 'a' ; " ;
        "\" ; "\x" ; "\u12g4" ; "\u12" ; [ ; ] ; [1 ; [1, ; [1,] ; [,1] ; [1 2] ; { ; {"a" ; {"a": ; {"a":1 ; {"a":1, ;
        {"a":1,} ; {"a" 1} ; {a:1} ; {1:1} ; {"a":1 "b":2} ; [} ; {] ; 1 1 ; []] ; //"#;
    for value in values.split(" ;").map(str::trim).chain(["", "\"\t\"", "\"\n\"", "\"\u{7f}\"", "\u{feff}1"]) {
        let input = format!(" {{ \"a\" : {value} , \"context\" : {{\"t\\u0065xt\":\"a\"}}}}\n");
        let expected = if serde_json::from_str::<Value>(&input).is_ok() {
            json!({"status": "ok", "output": {"lines": 0, "words": 1, "characters": 1, "bytes": 1}})
        } else {
            json!({"status": "error", "error": "the input is not JSON, or is nested too deeply"})
        };
        assert_eq!(answer(&input), expected, "{input}");
    }
    // Cut off anywhere it is none either.
    let whole = r#"{"a":[true,-1.5e+3,{"\u00e9\"":"\ud83d\ude00"}],"context":{"text":""}}"#;
    for cut in 0..whole.len() {
        assert_eq!(answer(&whole[..cut])["status"], "error", "{}", &whole[..cut]);
    }
    assert_eq!(answer(whole)["status"], "ok");
    for (depth, status) in [(256, "ok"), (257, "error"), (100_000, "error")] {
        let nested = format!("{{\"context\":{{\"text\":\"\"}},\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(answer(&nested)["status"], status, "{depth} levels");
    }
    for (text, characters, bytes) in [
        (r"\ud83d\ude00", 1, 4),
        (r"\ud83d", 1, 3),
        (r"\ude00\ud83d", 2, 6),
        (r"\ud83dx", 2, 4),
        (r"\ud83d\n", 2, 4),
        (r"\ud83d\u0041", 2, 4),
        (r"\u00E9é", 2, 4),
        (r"\u0000\b", 2, 2),
        (r#"\"\\\/"#, 3, 3),
    ] {
        let counted = answer(&format!("{{\"context\":{{\"text\":\"{text}\"}}}}"));
        assert_eq!(
            (&counted["output"]["characters"], &counted["output"]["bytes"]),
            (&json!(characters), &json!(bytes)),
            "{text}"
        );
    }
}

#[test]
fn each_guest_has_its_page_and_its_line_in_the_build() {
    let build = fs::read_to_string(root().join("runtimes/guests/build.sh")).unwrap();
    let guests = [
        ("c", "c.md", "words"),
        ("setjmp", "c.md", "calc"),
        ("faulty", "debugging.md", "faulty"),
        ("go", "go.md", "csv"),
        ("python", "python.md", "statistics"),
        ("javascript", "javascript.md", "matches"),
    ];
    for (directory, shown_on, name) in guests {
        assert_eq!(registration(&page(shown_on), name)["path"], format!("{name}.wasm"));
        assert!(build.contains(&format!("[{directory}]={name}")), "{name}");
    }
    // One runtime on the SDKs, which tests/languages/sdks.rs proves.
    let on_sdks = ["factors-c", "factors-go"];
    for name in on_sdks {
        assert!(build.contains(&format!("[{name}]={name} [{name}-command]={name}-command")), "{name}");
    }
    let directories = fs::read_dir(root().join("runtimes/guests")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(directories.filter(|path| path.is_dir()).count(), guests.len() + on_sdks.len());
}
