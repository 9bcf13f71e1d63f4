//! Requests of guests: the built-in `http` against servers that are real, and what an executor refuses to let out.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../interfaces/mod.rs"]
mod interfaces;
#[path = "../http/server.rs"]
mod server;

use arawn::ffi::{arawn_cancel, arawn_executor_new, arawn_stats};
use common::{Catalog, assert_error, call, execute, executor, in_new_process_under, ok};
use serde_json::{Value, json};
use server::{LARGE, Server};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// An executor whose guests reach these origins, private ones too.
fn allowing(origins: &[String]) -> String {
    executor(json!({"capabilities": {"http": {"allow": origins, "allow_private": true}}}))
}

fn origin(server: &Server) -> String {
    server.url("")
}

fn request(id: &str, config: Value) -> Value {
    execute(&json!({"executor": id, "runtime": "http", "input": {"config": config}}))
}

/// The output of a request that must be answered.
#[track_caller]
fn answered(id: &str, config: Value) -> Value {
    let reply = request(id, config);
    assert_eq!(reply["status"], "ok", "{reply:.500}");
    reply["output"].clone()
}

/// What the guest says of a request that fails.
#[track_caller]
fn refused(id: &str, config: Value) -> String {
    let reply = request(id, config);
    assert_error(&reply, "runtime_error");
    reply["error"].as_str().unwrap().to_owned()
}

fn refusals() -> [u64; 2] {
    let http = &ok(arawn_stats, &json!({}))["http"];
    ["not_allowed", "private_address"].map(|name| http[name].as_u64().unwrap())
}

#[test]
fn a_get_a_post_and_what_they_answer() {
    let server = Server::new();
    let id = allowing(&[origin(&server)]);
    let hello = answered(&id, json!({"url": server.url("/hello")}));
    assert_eq!((&hello["status"], &hello["body"]), (&json!(200), &json!("hello")));
    assert_eq!(hello["headers"]["x-one"], "1");
    assert!(hello["headers"]["x-two"].to_string().contains('a') && hello["headers"]["x-two"].to_string().contains('b'));
    let headers = json!({"X-Test": "yes", "content-type": "text/plain"});
    let posted = json!({"url": server.url("/echo?q=1"), "method": "POST", "headers": headers, "body": "größe"});
    let echoed = answered(&id, posted);
    assert_eq!((&echoed["status"], &echoed["body"]), (&json!(201), &json!("größe")));
    let received = &server.received()[1];
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/echo?q=1"));
    assert_eq!(received.header("x-test"), Some("yes"));
    assert_eq!(received.header("host"), Some(server.address.to_string().as_str()));
    let bytes = json!({"url": server.url("/echo"), "method": "PUT", "body": "/wAB", "body_encoding": "base64"});
    assert_eq!(
        (answered(&id, bytes)["body"].as_str(), server.received()[2].body.as_slice()),
        (Some("/wAB"), &b"\xff\0\x01"[..])
    );
    let binary = answered(&id, json!({"url": server.url("/binary")}));
    assert_eq!((&binary["body"], &binary["encoding"]), (&json!("//4A"), &json!("base64")));
    let missing = answered(&id, json!({"url": server.url("/missing")}));
    assert_eq!((&missing["status"], &missing["body"]), (&json!(404), &json!("no such page")));
}

#[test]
fn redirects_are_the_guests_to_follow_and_are_checked_again() {
    let (server, other, forbidden) = (Server::new(), Server::new(), Server::new());
    let id = allowing(&[origin(&server), origin(&other)]);
    let to = |path: &str, url: &str| json!({"url": server.url(&format!("{path}?{url}"))});
    assert_eq!(answered(&id, to("/redirect", &other.url("/hello")))["body"], "hello");
    assert_eq!(answered(&id, to("/redirect", "/hello"))["body"], "hello", "a relative one");
    let mut posted = to("/see-other", &other.url("/echo"));
    posted["method"] = json!("POST");
    posted["body"] = json!("gone");
    assert_eq!(answered(&id, posted)["body"], "");
    assert_eq!(other.received()[1].method, "GET");
    let before = refusals();
    let error = refused(&id, to("/redirect", &forbidden.url("/hello")));
    assert!(error.contains("not allowed"), "{error}");
    assert!(forbidden.received().is_empty());
    assert!(refusals()[0] > before[0]);
    let error = refused(&id, json!({"url": server.url("/around")}));
    assert!(error.contains("redirect"), "{error}");
    let mut stay = to("/redirect", "/hello");
    stay["max_redirects"] = json!(0);
    assert_eq!(answered(&id, stay)["status"], 302);
}

/// The check is `HttpGrant::allows` in `send`: without it the server would see the request.
#[test]
fn nothing_leaves_that_was_not_allowed() {
    let server = Server::new();
    let port = server.address.port();
    let nothing = executor(json!({}));
    let other_port = allowing(&[format!("http://127.0.0.1:{}", port ^ 1)]);
    let other_scheme = allowing(&[format!("https://127.0.0.1:{port}")]);
    let other_host = allowing(&[format!("http://localhost:{port}")]);
    let below = allowing(&[format!("http://*.localhost:{port}")]);
    let before = refusals();
    for id in [nothing, other_port, other_scheme, other_host, below] {
        let error = refused(&id, json!({"url": server.url("/hello")}));
        assert!(error.contains("not allowed"), "{error}");
    }
    assert!(server.received().is_empty());
    assert!(refusals()[0] >= before[0] + 5);
}

/// The check is `HttpGrant::allows_address` in `connect`, on each address that the name stands for.
#[test]
fn a_name_that_stands_for_a_private_address_is_refused() {
    let server = Server::new();
    let port = server.address.port();
    let hosts = ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001"];
    let allow: Vec<String> = hosts.iter().map(|host| format!("http://{host}:{port}")).collect();
    let before = refusals();
    let private = executor(json!({"capabilities": {"http": {"allow": allow}}}));
    for host in hosts {
        let error = refused(&private, json!({"url": format!("http://{host}:{port}/hello")}));
        assert!(error.contains("private"), "{host}: {error}");
    }
    assert!(server.received().is_empty());
    assert!(refusals()[1] >= before[1] + hosts.len() as u64);
    assert_eq!(answered(&allowing(&allow), json!({"url": format!("http://localhost:{port}/hello")}))["body"], "hello");
}

/// What a name stands for is looked up once for each request, and only an address that was checked is connected to.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_changes_leads_to_no_other_address_than_the_one_that_was_checked() {
    let server = Server::new();
    let port = server.address.port();
    let names = tempfile::tempdir().unwrap();
    let record = names.path().join("record");
    let hosts = ["first-public.example", "both.example"];
    let allow = hosts.map(|host| format!("http://{host}:{port}"));
    let new = json!({"id": "a", "cache_dir": null, "capabilities": {"http": {"allow": allow}}});
    let get = |host: &str| {
        let config = json!({"url": format!("http://{host}:{port}/hello")});
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "http", "input": {"config": config}}))
    };
    let [first, both] = hosts.map(get);
    let calls = [("arawn_executor_new", new), first.clone(), both, first];
    let preload = common::preload("tests/c/names_that_change.c", "names-that-change");
    let told = format!("RECORD={}", record.display());
    let replies = in_new_process_under(&["env", &preload, &told], &calls);
    for (reply, words) in replies[1..].iter().zip(["refused", "refused", "private"]) {
        assert_error(reply, "runtime_error");
        assert!(reply["error"].as_str().unwrap().contains(words), "{words}: {reply}");
    }
    let [first, both] = hosts.map(|host| format!("look up {host}"));
    let public = format!("connect 93.184.216.34:{port}");
    let seen = std::fs::read_to_string(&record).unwrap();
    assert_eq!(seen.lines().collect::<Vec<_>>(), [&first, &public, &both, &public, &first]);
    assert!(server.received().is_empty());
}

#[test]
fn servers_that_misbehave_are_errors_that_say_how() {
    let server = Server::new();
    let id = allowing(&[origin(&server), "http://no-such-host.invalid".to_owned(), "http://127.0.0.1:1".to_owned()]);
    for (config, words) in [
        (json!({"url": server.url("/truncated")}), "before it was complete"),
        (json!({"url": server.url("/garbage")}), "not http"),
        (json!({"url": server.url("/silent"), "timeout_ms": 200}), "timeout_ms"),
        (json!({"url": server.url("/drip"), "timeout_ms": 300}), "timeout_ms"),
        (json!({"url": server.url("/large"), "max_bytes": 1000}), "max_bytes"),
        (json!({"url": "http://no-such-host.invalid/"}), "looked up"),
        (json!({"url": "http://127.0.0.1:1/"}), "refused"),
        (json!({"url": "ftp://127.0.0.1/"}), "url"),
        (json!({"url": server.url("/hello"), "headers": {"host": "evil.example"}}), "host"),
    ] {
        let begun = Instant::now();
        let error = refused(&id, config.clone());
        assert!(error.to_lowercase().contains(words), "{config}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{config} took {:?}", begun.elapsed());
    }
}

/// A response is streamed through the guest: what bounds it is the guest's memory and the output.
#[test]
fn a_hundred_mebibytes_arrive() {
    let server = Server::new();
    let limits = json!({"memory_bytes": 1u64 << 30, "output_bytes": 256 << 20});
    let http = json!({"allow": [origin(&server)], "allow_private": true});
    let id = executor(json!({"limits": limits, "capabilities": {"http": http}}));
    let output = answered(&id, json!({"url": server.url("/large"), "max_bytes": 200 << 20}));
    assert_eq!(output["body"].as_str().unwrap().len(), LARGE);
    let small = allowing(&[origin(&server)]);
    let reply = request(&small, json!({"url": server.url("/large"), "max_bytes": 200 << 20}));
    assert_error(&reply, "memory_exceeded");
}

/// A host that does not accept, one that does not answer and one that answers slowly all end with the call's deadline.
#[test]
fn the_deadline_holds_whatever_the_server_does() {
    let server = Server::new();
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    // A backlog of none, filled: what connects now waits for an accept that never comes.
    // SAFETY: the descriptor is the listener's own.
    #[allow(unsafe_code, reason = "std sets the backlog by itself")]
    let again = unsafe { libc::listen(deaf.as_raw_fd(), 0) };
    assert_eq!(again, 0);
    let address = deaf.local_addr().unwrap();
    let _waiting: Vec<_> =
        (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
    let deaf_origin = format!("http://{address}");
    let id = allowing(&[origin(&server), deaf_origin.clone()]);
    answered(&id, json!({"url": server.url("/hello")}));
    for url in [deaf_origin, server.url("/silent"), server.url("/drip")] {
        let input = json!({"config": {"url": url}});
        let call = json!({"executor": id, "runtime": "http", "input": input, "limits": {"timeout_ms": 300}});
        let mut late = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            let reply = execute(&call);
            assert_error(&reply, "timeout");
            common::assert_stopped(&reply, &json!({"phase": "run", "timeout_ms": 300}));
            late = late.min(begun.elapsed() - Duration::from_millis(300));
        }
        assert!(late < Duration::from_millis(50), "{url} ended {late:?} late");
        std::thread::scope(|scope| {
            let call = json!({"executor": id, "runtime": "http", "input": input, "job": "fetch"});
            let running = scope.spawn(move || execute(&call));
            std::thread::sleep(Duration::from_millis(50));
            while common::call(arawn_cancel, &json!({"executor": id, "job": "fetch"}))["status"] != "ok" {}
            assert_error(&running.join().unwrap(), "cancelled");
        });
    }
}

#[test]
fn tls_trusts_the_platforms_roots_and_no_others() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut about = rcgen::CertificateParams::new(Vec::new()).unwrap();
    about.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = about.self_signed(&authority).unwrap();
    let issuer = rcgen::Issuer::new(about, authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    let server = Server::secure(config);
    let port = server.address.port();
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), root.pem()).unwrap();

    let origins = ["localhost", "127.0.0.1"].map(|host| format!("https://{host}:{port}"));
    let http = json!({"allow": origins, "allow_private": true});
    let new = json!({"id": "tls", "cache_dir": null, "capabilities": {"http": http}});
    let get = |host: &str| {
        let config = json!({"url": format!("https://{host}:{port}/hello")});
        ("arawn_execute_runtime", json!({"executor": "tls", "runtime": "http", "input": {"config": config}}))
    };
    let calls = [("arawn_executor_new", new.clone()), get("localhost"), get("127.0.0.1")];
    let trusted = format!("SSL_CERT_FILE={}", roots.path().display());
    let replies = in_new_process_under(&["env", &trusted], &calls);
    assert_eq!(replies[1]["output"]["body"], "hello", "{}", replies[1]);
    assert!(replies[2]["error"].as_str().unwrap().contains("certificate"), "another name: {}", replies[2]);
    // A root that did not sign the server's certificate.
    let stranger = rcgen::generate_simple_self_signed(vec!["stranger.example".to_owned()]).unwrap();
    std::fs::write(roots.path(), stranger.cert.pem()).unwrap();
    let replies = in_new_process_under(&["env", &trusted], &calls[..2]);
    assert!(replies[1]["error"].as_str().unwrap().contains("certificate"), "{}", replies[1]);
}

#[test]
fn what_is_granted_is_checked_when_the_executor_is_made() {
    for (http, path) in [
        (json!({"allow": ["example.com"]}), "capabilities.http.allow[0]"),
        (json!({"allow": ["https://ok.example", "https://*"]}), "capabilities.http.allow[1]"),
        (json!({"allow": ["https://example.com/path"]}), "capabilities.http.allow[0]"),
        (json!({"allow": "https://example.com"}), "capabilities.http.allow"),
        (json!({"allow_privat": true}), "capabilities.http.allow_privat"),
    ] {
        let reply = call(arawn_executor_new, &json!({"capabilities": {"http": http}}));
        assert_error(&reply, "invalid_config");
        assert_eq!(reply["details"]["path"], path, "{reply}");
    }
    let reply = call(
        arawn_executor_new,
        &json!({"deterministic": {}, "capabilities": {"http": {"allow": ["https://example.com"]}}}),
    );
    assert_eq!(reply["details"]["path"], "capabilities.http", "{reply}");
    let granted = json!({"allow": ["HTTPS://API.Example.com:443/"]});
    let id = executor(json!({"capabilities": {"http": granted}}));
    assert!(!id.is_empty());
}

/// A component that sends requests to a server that is named at 1024, with a path that is named at 1536.
fn sender(authority: &str, path: &str, body: &str) -> Vec<u8> {
    let (authority_len, path_len) = (authority.len(), path.len());
    let functions = format!(
        r#"(global $options (mut i32) (i32.const 0))
        (global $has_options (mut i32) (i32.const 0))
        (func $send (result i32) (local $request i32)
            (local.set $request (call $request (call $fields)))
            (drop (call $scheme (local.get $request) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
            (drop (call $authority (local.get $request) (i32.const 1) (i32.const 1024) (i32.const {authority_len})))
            (drop (call $path (local.get $request) (i32.const 1) (i32.const 1536) (i32.const {path_len})))
            (call $handle (local.get $request) (global.get $has_options) (global.get $options) (i32.const 16))
            (if (i32.load8_u (i32.const 16)) (then unreachable))
            (i32.load (i32.const 24)))
        ;; The status, or 1000 and the number of the error's code.
        (func $answered (param $response i32) (result i32)
            (call $block (call $answer (local.get $response)))
            (call $get (local.get $response) (i32.const 32))
            (if (i32.load8_u (i32.const 48))
                (then (return (i32.add (i32.const 1000) (i32.load8_u (i32.const 56))))))
            (call $status (i32.load (i32.const 56))))"#
    );
    interfaces::guest(4, &[(1024, authority), (1536, path)], &functions, body)
}

/// What one request is answered.
fn sent(server: &Server, authority: &str, path: &str) -> Value {
    let catalog =
        Catalog::new().with_bytes("sender", &sender(authority, path, "(call $output (call $answered (call $send)))"));
    let http = json!({"allow": [origin(server)], "allow_private": true});
    let id = catalog.executor_with(json!({"capabilities": {"http": http}}));
    let reply = execute(&json!({"executor": id, "runtime": "sender"}));
    assert_eq!(reply["status"], "ok", "{reply}");
    reply["output"].clone()
}

const CONNECTION_LIMIT_REACHED: &str = "1011";
const REQUEST_URI_INVALID: &str = "1019";
const RESPONSE_HEADER_SECTION_SIZE: &str = "1026";

/// `user:pass@` went out in the `Host` header.
#[test]
fn a_user_and_a_password_do_not_leave() {
    let server = Server::new();
    assert_eq!(sent(&server, &format!("user:pass@{}", server.address), "/hello"), REQUEST_URI_INVALID);
    assert!(server.received().is_empty());
}

/// A path of nothing was sent as nothing.
#[test]
fn a_path_begins_with_a_slash() {
    let server = Server::new();
    for (path, target) in [("", "/"), ("?q=1", "/?q=1"), ("/a?b", "/a?b"), ("/", "/")] {
        assert_eq!(sent(&server, &server.address.to_string(), path), "0404");
        assert_eq!(server.received().last().unwrap().path, target);
    }
}

/// More than 100 fields of a response were "not HTTP".
#[test]
fn responses_have_many_headers_and_not_too_many() {
    let server = Server::new();
    for (path, answer) in [
        ("/headers?1900x8", "0200"),
        ("/headers?2100x8", RESPONSE_HEADER_SECTION_SIZE),
        ("/headers?10x10000", "0200"),
        ("/headers?20x10000", RESPONSE_HEADER_SECTION_SIZE),
        ("/headers?1x1000000", RESPONSE_HEADER_SECTION_SIZE),
    ] {
        assert_eq!(sent(&server, &server.address.to_string(), path), answer, "{path}");
    }
}

/// Headers of responses that a guest keeps are held by the host.
#[test]
fn headers_of_responses_are_bounded() {
    let server = Server::new();
    let keep = interfaces::times(
        200,
        "(drop (call $answered (call $send))) (drop (call $clone (call $headers (i32.load (i32.const 56)))))
        (call $drop_response (i32.load (i32.const 56)))",
    );
    let catalog = Catalog::new().with_bytes("keep", &sender(&server.address.to_string(), "/headers?10x10000", &keep));
    let http = json!({"allow": [origin(&server)], "allow_private": true});
    let id = catalog.executor_with(json!({"capabilities": {"http": http}}));
    let reply = execute(&json!({"executor": id, "runtime": "keep"}));
    assert_error(&reply, "memory_exceeded");
    common::assert_stopped(&reply, &json!({"host_bytes": 16 << 20}));
}

/// Where the host asks its libraries for backtraces, those of its own code are not told to a guest.
#[test]
fn an_error_is_told_to_a_guest_without_a_backtrace_of_the_host() {
    let server = Server::new();
    // What an error says of itself goes to stderr.
    let body = "(call $block (call $answer (local.tee $handle (call $send))))
        (call $get (local.get $handle) (i32.const 32))
        (call $consume (i32.load (i32.const 56)) (i32.const 16))
        (call $received (i32.load (i32.const 20)) (i32.const 16))
        (local.set $handle (i32.load (i32.const 20)))
        (loop $more
            (call $read (local.get $handle) (i64.const 1000) (i32.const 16))
            (br_if $more (i32.eqz (i32.load8_u (i32.const 16)))))
        (if (i32.load8_u (i32.const 20)) (then unreachable))
        (call $told (i32.load (i32.const 24)) (i32.const 0))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))";
    let component = sender(&server.address.to_string(), "/truncated", body);
    let catalog = Catalog::new().with_bytes("guest", &component);
    let http = json!({"allow": [origin(&server)], "allow_private": true});
    let config = json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path(), "capabilities": {"http": http}});
    let run = json!({"executor": "a", "runtime": "guest"});
    let told = |variable: &str| {
        let calls = [("arawn_executor_new", config.clone()), ("arawn_execute_runtime", run.clone())];
        let replies = in_new_process_under(&["env", variable], &calls);
        replies[1]["details"]["stderr"].as_str().unwrap_or_else(|| panic!("{replies:?}")).to_owned()
    };
    let plain = told("RUST_LIB_BACKTRACE=0");
    assert!(!plain.is_empty() && !plain.contains('\n'), "{plain}");
    assert_eq!(told("RUST_LIB_BACKTRACE=1"), plain);
    assert_eq!(told("RUST_BACKTRACE=full"), plain);
}

/// Nothing bounded the sockets of a guest.
#[test]
fn a_guest_has_so_many_connections_at_once() {
    let server = Server::new();
    let options = "(global.set $options (call $options)) (global.set $has_options (i32.const 1))
        (drop (call $connect_timeout (global.get $options) (i32.const 1) (i64.const 200000000)))";
    let body = format!(
        "{} {options} (call $output (call $answered (call $send)))",
        interfaces::times(16, "(drop (call $send))")
    );
    let catalog = Catalog::new().with_bytes("many", &sender(&server.address.to_string(), "/silent", &body));
    let http = json!({"allow": [origin(&server)], "allow_private": true});
    let id = catalog.executor_with(json!({"capabilities": {"http": http}}));
    let reply = execute(&json!({"executor": id, "runtime": "many"}));
    assert_eq!((&reply["output"], server.received().len()), (&json!(CONNECTION_LIMIT_REACHED), 16), "{reply}");
    // One that ends makes room.
    let body = format!(
        "{} (call $output (call $answered (call $send)))",
        interfaces::times(40, "(drop (call $answered (call $send))) (call $drop_response (i32.load (i32.const 56)))")
    );
    let catalog = Catalog::new().with_bytes("row", &sender(&server.address.to_string(), "/hello", &body));
    let id =
        catalog.executor_with(json!({"capabilities": {"http": {"allow": [origin(&server)], "allow_private": true}}}));
    assert_eq!(execute(&json!({"executor": id, "runtime": "row"}))["output"], "0200");
}
