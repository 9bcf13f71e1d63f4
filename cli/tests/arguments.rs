//! A wrong command line is answered with what to do.

mod support;

use support::Place;

fn place() -> Place {
    Place::new().with("p.json", r#"{"steps": [{"name": "a", "runtime": "passthrough"}]}"#)
}

/// The long options of `arawn pipeline`, as its help lists them.
fn options(place: &Place) -> Vec<String> {
    let help = place.run(&["pipeline", "--help"]);
    let words = help.stdout.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line
            .strip_prefix("-")
            .filter(|rest| !rest.starts_with('-'))
            .map_or(line, |rest| &rest[rest.len().min(3)..]);
        line.split_whitespace().next().filter(|word| word.starts_with("--"))
    });
    words.map(str::to_owned).collect()
}

#[test]
fn a_typo_in_an_option_is_answered_with_the_option() {
    let place = place();
    let options = options(&place);
    for known in ["--context", "--dir", "--quiet", "--dry-run"] {
        assert!(options.iter().any(|option| option == known), "{options:?}");
    }
    for option in &options {
        let typo = format!("{option}{}", option.chars().last().unwrap_or_default());
        let answer = place.run(&["pipeline", "p.json", &typo]);
        let arguments = [format!("unexpected argument '{typo}'"), format!("a similar argument exists: '{option}'")];
        answer.assert_failed(2, &arguments.each_ref().map(String::as_str));
    }
}

#[test]
fn a_typo_in_the_command_is_answered_with_the_command() {
    place().run(&["pipelin", "p.json"]).assert_failed(2, &["unrecognized subcommand 'pipelin'", "'pipeline'"]);
}

#[test]
fn a_missing_argument_is_named() {
    place().run(&["pipeline"]).assert_failed(2, &["required arguments were not provided", "<FILE>"]);
    place().run(&[]).assert_failed(2, &["Usage: arawn", "pipeline"]);
}

#[test]
fn a_value_of_the_wrong_form_is_answered_with_the_right_one() {
    for (arguments, texts) in [
        (["--limit", "timout_ms=1"], ["'--limit <NAME=VALUE>'", "did you mean `timeout_ms`?"]),
        (["--limit", "timeout_ms=1s"], ["'--limit <NAME=VALUE>'", "`1s` is not a whole number"]),
        (["--limit", "timeout_ms=0"], ["`limits.timeout_ms` must be at least 1", "hint: --limit timeout_ms=NUMBER "]),
        (["--dir", "data"], ["'--dir <HOST:GUEST[:rw]>'", "write HOST:GUEST, such as data:/data"]),
        (["--dir", "data:/data:wr"], ["'--dir <HOST:GUEST[:rw]>'", "`wr` is not known"]),
        (["--env", "HOME"], ["'--env <NAME=VALUE>'", "write HOME=VALUE"]),
        (["--http", "api.example.com"], ["'--http <ORIGIN>'", "has no `http://` or `https://`"]),
        (["--context", "p"], ["`--context` cannot be read: expected value", "write JSON, @FILE, or - for stdin"]),
        (["--context", "@no.json"], ["`no.json` cannot be read", "No such file"]),
        (["--context", "[]"], ["`context` must be an object", "error"]),
        (["--picture", "no/such/p.svg"], ["`--picture` cannot be written", "there is no directory `no/such`"]),
        (
            ["--runtimes", "no/such"],
            ["`runtimes_dir` is `no/such`, which is no directory", "hint: --runtimes DIR sets it"],
        ),
    ] {
        place().run(&[&["pipeline", "p.json"], &arguments[..]].concat()).assert_failed(2, &texts);
    }
    place().run(&["pipeline", "p.json", "--http-private"]).assert_failed(2, &["--http <ORIGIN>"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    place().run(&["pipeline", "q.json"]).assert_failed(2, &["error: `q.json` cannot be read: No such file"]);
    let directory = place().with_runtimes(&[]).run(&["pipeline", "runtimes"]);
    directory.assert_failed(2, &["error: `runtimes` cannot be read: Is a directory"]);
    let latin = Place::new().with("latin.json", b"{\"caf\xe9\": 1}");
    latin.run(&["pipeline", "latin.json"]).assert_failed(2, &["`latin.json` is not UTF-8: byte 5"]);
    let both = place().run_with("{}", &["pipeline", "-", "--context", "-"]);
    both.assert_failed(2, &["`--context` cannot be read from stdin, which has the document"]);
}

#[test]
fn version_and_help_are_no_failures() {
    let place = place();
    let version = place.run(&["--version"]);
    assert_eq!((version.status, &*version.stdout), (0, concat!("arawn ", env!("CARGO_PKG_VERSION"), "\n")));
    let help = place.run(&["pipeline", "--help"]);
    assert!(help.status == 0 && help.stdout.contains("Exit status:"), "{help:?}");
}
