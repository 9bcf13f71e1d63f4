//! Manual pages and completions, which are made of the definitions of the arguments.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Place, ended};

/// Two names of each kind.
const COMMANDS: [&str; 4] = ["run", "register", "cache warm", "cache clear"];

fn shared(place: &Place) -> PathBuf {
    let written = place.run(&["share", "out/share"]);
    assert_eq!((written.status, written.stdout + &written.stderr), (0, String::new()));
    place.path().join("out/share")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_command_has_a_manual_page() {
    let place = Place::new();
    let pages = shared(&place).join("man/man1");
    for command in COMMANDS {
        let page = read(&pages.join(format!("arawn-{}.1", command.replace(' ', "-"))));
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH OPTIONS"), "{page}");
    }
    let page = read(&pages.join("arawn-run.1"));
    for text in ["ARAWN_RUNTIMES", "\\-\\-context", "Exit status:", "a guest trapped or exited"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(read(&pages.join("arawn.1")).contains("arawn\\-register(1)"));
    // What is for those who make packages is for nobody else.
    let names = fs::read_dir(&pages).into_iter().flatten().flatten().map(|entry| entry.file_name());
    assert!(names.into_iter().all(|name| name != "arawn-share.1" && name != "arawn-help.1"));
}

#[test]
fn bash_completes_commands_and_options() {
    let place = Place::new();
    let script = shared(&place).join("bash-completion/completions/arawn");
    let completed = |words: &[&str]| {
        let line = format!(
            "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; _arawn arawn '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let output = Command::new("bash").args(["--norc", "-c", &line]).output();
        let ended = ended(output.unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(ended.stderr, "", "{words:?}");
        ended.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["arawn", "re"]), ["register", "remove"]);
    assert_eq!(completed(&["arawn", "cache", "w"]), ["warm"]);
    assert_eq!(completed(&["arawn", "run", "--con"]), ["--config", "--context"]);
    assert_eq!(completed(&["arawn", "register", "a", "a.js", "--snapshot", ""]), ["init", "off"]);
}

#[test]
fn each_shell_has_its_completions_which_the_program_prints_too() {
    let place = Place::new();
    let share = shared(&place);
    for (shell, path, text) in [
        ("bash", "bash-completion/completions/arawn", "_arawn()"),
        ("zsh", "zsh/site-functions/_arawn", "#compdef arawn"),
        ("fish", "fish/vendor_completions.d/arawn.fish", "complete -c arawn"),
    ] {
        let script = read(&share.join(path));
        assert!(script.contains(text) && script.contains("register") && script.contains("runtimes"), "{script}");
        assert_eq!(place.run(&["completions", shell]).stdout, script);
    }
    place.run(&["completions", "bsh"]).assert_failed(2, &["invalid value 'bsh'", "'bash'"]);
    let taken = place.with("taken", "");
    taken.run(&["share", "taken"]).assert_failed(5, &["error: taken cannot be written: "]);
}
