//! A wrong command line is answered with what to do.

mod support;

use support::Place;

fn place() -> Place {
    Place::new().with("p.json", r#"{"steps": [{"name": "a", "runtime": "passthrough"}]}"#)
}

/// The lines of a part of a help text, such as "Commands:".
fn part<'a>(help: &'a str, head: &'a str) -> impl Iterator<Item = &'a str> {
    help.lines().skip_while(move |line| *line != head).skip(1).take_while(|line| !line.is_empty())
}

/// The subcommands of all depths, each with the words that call it.
fn commands(place: &Place, of: &[String]) -> Vec<Vec<String>> {
    let arguments: Vec<&str> = of.iter().map(String::as_str).chain(["--help"]).collect();
    let help = place.run(&arguments).stdout;
    let names = part(&help, "Commands:").filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let inner = names.filter(|name| *name != "help").flat_map(|name| {
        let command = [of, &[name.to_owned()]].concat();
        [vec![command.clone()], commands(place, &command)].concat()
    });
    inner.collect()
}

/// The long options of a command, as its help lists them.
fn options(place: &Place, command: &[&str]) -> Vec<String> {
    let help = place.run(&[command, &["--help"]].concat());
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
fn a_typo_in_an_option_of_any_command_is_answered_with_the_option() {
    let place = place();
    let commands = commands(&place, &[]);
    let names: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
    for known in ["run", "pipeline", "list", "inspect", "register", "remove", "cache", "cache list", "cache warm"] {
        assert!(names.iter().any(|name| name == known), "{known}: {names:?}");
    }
    for command in &commands {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let options = options(&place, &command);
        assert!(options.iter().any(|option| option == "--help"), "{command:?}: {options:?}");
        for option in &options {
            let typo = format!("{option}{}", option.chars().last().unwrap_or_default());
            let answer = place.run(&[&command[..], &[&typo]].concat());
            let texts = [format!("unexpected argument '{typo}'"), format!("a similar argument exists: '{option}'")];
            answer.assert_failed(2, &texts.each_ref().map(String::as_str));
        }
    }
}

#[test]
fn a_typo_in_any_command_is_answered_with_the_command() {
    let place = place();
    for command in commands(&place, &[]) {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        let last = words.pop().unwrap_or_default();
        let typo = format!("{last}{}", last.chars().last().unwrap_or_default());
        words.push(&typo);
        place.run(&words).assert_failed(2, &[&format!("unrecognized subcommand '{typo}'"), &format!("'{last}'")]);
    }
}

#[test]
fn each_command_says_what_it_does_and_each_option_too() {
    let place = place();
    for command in commands(&place, &[]) {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["-h"]).collect();
        let help = place.run(&words);
        assert!(help.status == 0 && !help.stdout.starts_with("Usage"), "{help:?}");
        for line in part(&help.stdout, "Options:").filter(|line| line.trim_start().starts_with('-')) {
            let (_, told) = line.trim_start().split_once("  ").unwrap_or_default();
            assert!(!told.trim().is_empty(), "{words:?}: {line}");
        }
    }
}

#[test]
fn a_missing_argument_is_named() {
    place().run(&["pipeline"]).assert_failed(2, &["required arguments were not provided", "<FILE>"]);
    place().run(&["run"]).assert_failed(2, &["required arguments were not provided", "<NAME>"]);
    place().run(&["cache"]).assert_failed(2, &["Usage: arawn cache", "clear"]);
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
        (["--context", "p"], ["`--context` is not JSON: expected value", "write JSON, @FILE, or - for stdin"]),
        (["--context", "@no.json"], ["`no.json` cannot be read", "No such file"]),
        (["--context", "@P.json"], ["`P.json` cannot be read", "did you mean `p.json`?"]),
        (["--context", "@"], ["`--context` has no name of a file after `@`", "write @FILE"]),
        (["--context", "@."], ["`./` cannot be read", "Is a directory"]),
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
