//! What an option grants reaches the guest, and no more.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use support::Place;

/// Answers its environment, with the NULs as spaces.
const ENVIRONMENT: &str = include_str!("support/environment.wat");

#[test]
fn guests_have_the_variables_that_are_set_and_no_others() {
    let place = Place::new()
        .with_runtimes(&[("environment", ENVIRONMENT)])
        .with("p.json", r#"{"steps": [{"name": "a", "runtime": "environment"}]}"#);
    let arguments = ["pipeline", "p.json", "--runtimes", "runtimes"];
    assert_eq!(place.output(&arguments), "");
    assert_eq!(place.output(&[&arguments[..], &["--env", "A=1", "--env", "B=x y"]].concat()), "A=1 B=x y ");
}

#[test]
fn requests_go_to_the_origins_that_are_allowed() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"));
    let origin = format!("http://{}", server.local_addr().unwrap_or_else(|error| panic!("{error}")));
    let served = thread::spawn(move || {
        let (stream, _) = server.accept()?;
        let mut lines = BufReader::new(&stream).lines();
        let request = lines.next().transpose()?;
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")?;
        Ok::<_, std::io::Error>(request)
    });
    let document = format!(r#"{{"steps": [{{"name": "a", "runtime": "http", "config": {{"url": "{origin}/x"}}}}]}}"#);
    let place = Place::new().with("p.json", document);
    let refused = place.run(&["pipeline", "p.json", "--http", &origin]);
    refused.assert_failed(1, &["is at a private address", "hint: --http-private "]);
    assert_eq!(place.output(&["pipeline", "p.json", "--http", &origin, "--http-private"])["body"], "hi");
    let request = served.join().map(|request| request.ok().flatten());
    assert_eq!(request.ok().flatten().as_deref(), Some("GET /x HTTP/1.1"));
}

#[test]
fn compiled_code_is_kept_where_it_is_said() {
    let place = Place::new().with("p.json", r#"{"steps": [{"name": "a", "runtime": "passthrough"}]}"#);
    let cache_of = |arguments: &[&str]| place.output(arguments)["meta"]["steps"][0]["cache"].clone();
    let arguments = ["pipeline", "p.json", "--json", "--cache", "kept"];
    assert_eq!([cache_of(&arguments), cache_of(&arguments)], ["compiled", "disk"]);
}
