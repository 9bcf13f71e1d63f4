//! What is different on a terminal. `script` of util-linux gives the program one.
#![cfg(target_os = "linux")]

mod support;

use std::process::Command;
use support::{Place, TRAPPING, ended};

/// What a terminal gets to see, stdout and stderr together.
fn shown(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let program = place.command(&[]);
    let words = [program.get_program().to_str().unwrap_or_default()].into_iter().chain(arguments.iter().copied());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    let mut command = Command::new("script");
    command.args(["-qec", &quoted.join(" "), "/dev/null"]).current_dir(place.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("TERM", "xterm").envs(variables.iter().copied());
    ended(command.output().unwrap_or_else(|error| panic!("{error}"))).stdout
}

#[test]
fn colours_are_for_terminals_and_for_those_who_force_them() {
    let place = Place::new().with_runtimes(&[("trapping", TRAPPING)]);
    for arguments in
        [&["list"][..], &["run", "nobody"], &["run", "trapping", "--runtimes", "runtimes"], &["inspect", "lua"]]
    {
        assert!(shown(&place, &[], arguments).contains("\x1b["), "{arguments:?}");
        assert!(!shown(&place, &[("NO_COLOR", "1")], arguments).contains("\x1b["), "{arguments:?}");
        let piped = |variables: &[(&str, &str)]| {
            let output = place.command(arguments).envs(variables.iter().copied()).output();
            let ended = ended(output.unwrap_or_else(|error| panic!("{error}")));
            ended.stdout + &ended.stderr
        };
        assert!(!piped(&[]).contains("\x1b["), "{arguments:?}");
        assert!(piped(&[("CLICOLOR_FORCE", "1")]).contains("\x1b["), "{arguments:?}");
        assert!(!piped(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains("\x1b["), "{arguments:?}");
    }
}

#[test]
fn an_output_cannot_speak_to_a_terminal_and_is_untouched_elsewhere() {
    let place = Place::new();
    let context = "{\"a\": \"\u{9b}2J\u{202e}\u{7f}\"}";
    let arguments = ["run", "transform", "--config", r#"{"expression": "a"}"#, "--context", context];
    assert_eq!(shown(&place, &[], &arguments), "\"\\u009b2J\\u202e\\u007f\"\r\n");
    assert_eq!(place.run(&arguments).stdout, "\"\u{9b}2J\u{202e}\u{7f}\"\n");
}

#[test]
fn a_table_fits_a_terminal_and_is_whole_elsewhere() {
    let place = Place::new().with("greet.js", "export default () => 1\n").with_runtimes(&[]);
    let description = "long ".repeat(100);
    place.output(&["register", "greet", "greet.js", "--description", &description, "--runtimes", "runtimes", "--json"]);
    let list = ["list", "--runtimes", "runtimes"];
    assert!(place.run(&list).stdout.contains(description.trim_end()));
    // `script` gives no size where it has none itself.
    let sized = format!("stty rows 20 cols 60; '{}' list --runtimes runtimes", env!("CARGO_BIN_EXE_arawn"));
    let output = Command::new("script").args(["-qec", &sized, "/dev/null"]).current_dir(place.path()).output();
    let text = ended(output.unwrap_or_else(|error| panic!("{error}"))).stdout;
    let line = text.lines().find(|line| line.starts_with("greet")).unwrap_or_default();
    assert!(line.ends_with('…') && line.chars().count() == 60, "{text}");
}

#[test]
fn stdin_that_is_a_terminal_is_not_waited_for_in_silence() {
    let place = Place::new();
    // Ctrl-D is at once at the end of what `script` passes on.
    let text = shown(&place, &[], &["run", "passthrough", "--config", "-"]);
    assert!(text.contains("reading stdin, which is the terminal: Ctrl-D ends it"), "{text}");
    let text = shown(&place, &[("NO_COLOR", "1")], &["run", "passthrough"]);
    assert_eq!(text, "{\"config\":{},\"context\":{}}\r\n");
}
