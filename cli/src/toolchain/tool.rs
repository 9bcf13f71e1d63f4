//! Running other programs.

use crate::failed::{Failed, Result};
use crate::report;
use crate::shell::{self, quoted};
use crate::task::Task;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{self, Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// A program, with the arguments and the variables that always come with it.
#[derive(Clone, Debug)]
pub struct Tool {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
}

impl Tool {
    pub fn new(program: impl Into<OsString>) -> Self {
        Tool { program: program.into(), arguments: Vec::new(), variables: Vec::new() }
    }

    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The program that a variable names, with its arguments, or the one of this name.
    pub fn named(variable: &str, name: &str) -> Self {
        Self::of_variable(variable).unwrap_or_else(|| Tool::new(name))
    }

    /// The program that a variable names. The path of a file may have spaces in it; otherwise they separate arguments.
    pub fn of_variable(variable: &str) -> Option<Self> {
        Self::of_value(env::var_os(variable)?)
    }

    fn of_value(value: OsString) -> Option<Self> {
        if Path::new(&value).is_file() {
            return Some(Tool::new(located(value)));
        }
        let text = value.to_str()?;
        let mut words = text.split_whitespace();
        let tool = Tool::new(located(words.next()?.into()));
        Some(words.fold(tool, |tool, word| tool.arg(word)))
    }

    pub fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(directory).stdin(Stdio::null());
        command
    }

    /// What the program prints for these arguments; `None` if it is not there or does not succeed.
    pub fn answer(&self, directory: &Path, arguments: &[&str]) -> Option<String> {
        let output = self.command(directory).args(arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub fn is_there(&self, directory: &Path, arguments: &[&str]) -> bool {
        self.answer(directory, arguments).is_some()
    }
}

/// A program that is named by a path, by that path from the root: it is run in the project's directory, and the path is
/// one from the working directory.
fn located(program: OsString) -> OsString {
    match Path::new(&program).components().count() {
        0 | 1 => program,
        _ => path::absolute(&program).map_or(program, PathBuf::into_os_string),
    }
}

/// Runs a program to its end. Its messages come out on stderr as they are.
pub fn run(command: Command, doing: &str) -> Result<()> {
    let name = name(&command);
    report::command(&shown(&command));
    let task = Task::begin(doing.to_owned());
    let ended = forward(command, &task);
    task.end();
    check(&name, ended.map_err(|error| not_run(&name, &error))?)
}

/// Sends both of a program's streams to stderr, line by line, past the spinner.
fn forward(mut command: Command, task: &Task) -> io::Result<ExitStatus> {
    let (reader, writer) = io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // It has the ends that are written to. While they are open, reading does not end.
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        task.aside(|| {
            let _ = io::stderr().lock().write_all(&line);
        });
        line.clear();
    }
    child.wait()
}

/// Runs a program that shows its progress on stderr itself. Returns what it prints to stdout.
pub fn run_printing(mut command: Command) -> Result<String> {
    let name = name(&command);
    report::command(&shown(&command));
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| not_run(&name, &error))?;
    check(&name, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn not_run(name: &str, error: &io::Error) -> Failed {
    Failed::host(format!("`{name}` cannot be run: {error}"))
}

fn check(name: &str, status: ExitStatus) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => Err(Failed::host(format!("`{name}` has failed ({status}): its messages are above"))),
    }
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let word = |word: &OsStr| quoted(&word.to_string_lossy());
    let variables = variables.map(|(name, value)| format!("{}={}", name.to_string_lossy(), word(value)));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(word);
    let cd = command.get_current_dir().filter(|directory| !shell::is_here(directory));
    let cd = cd.map_or(String::new(), |directory| format!("cd {} && ", shell::path(directory)));
    cd + &variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// The directory below which tools are installed: `$ARAWN_TOOLS`, or one in the platform's cache.
pub fn tools() -> Option<PathBuf> {
    // Tools run in the project's directory, where another path than one from the root would be another one.
    let variable = env::var_os("ARAWN_TOOLS").and_then(|value| path::absolute(value).ok());
    variable.or_else(|| Some(dirs::cache_dir()?.join("arawn-tools")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let tool = Tool::new("go").arg("build").env("GOOS", "wasip1");
        let mut command = tool.command(Path::new("."));
        command.args(["-ldflags=-s -w", "it's", ""]).env_remove("GOFLAGS");
        let words = r"GOOS=wasip1 go build '-ldflags=-s -w' 'it'\''s' ''";
        assert_eq!(shown(&command), words);
        command.current_dir("/no/such directory");
        assert_eq!(shown(&command), format!("cd '/no/such directory' && {words}"));
    }

    #[test]
    fn a_path_to_a_program_is_one_from_the_working_directory() {
        let here = env::current_dir().unwrap_or_default();
        let words = |value: &str| {
            let tool = Tool::of_value(value.into())?;
            Some([vec![tool.program], tool.arguments].concat())
        };
        let absolute = |path: &str| here.join(path).into_os_string();
        assert_eq!(words("clang -O2 -Iinclude"), Some(vec!["clang".into(), "-O2".into(), "-Iinclude".into()]));
        assert_eq!(words("bin/clang -O2"), Some(vec![absolute("bin/clang"), "-O2".into()]));
        assert_eq!(words("./src/main.rs"), Some(vec![absolute("src/main.rs")]));
        assert_eq!(words("/usr/bin/zig"), Some(vec!["/usr/bin/zig".into()]));
        assert_eq!((words(""), words(" ")), (None, None));
    }

    #[test]
    fn a_program_that_is_not_there_answers_nothing() {
        let here = Path::new(".");
        assert_eq!(Tool::new("no-such-program").answer(here, &[]), None);
        assert_eq!(Tool::new("false").answer(here, &[]), None);
        assert_eq!(Tool::new("echo").answer(here, &["a"]).as_deref(), Some("a"));
        let failed = run(Tool::new("no-such-program").command(here), "").err().map(|failed| failed.words());
        assert!(failed.is_some_and(|words| words.starts_with("`no-such-program` cannot be run: ")));
        let failed = run(Tool::new("false").command(here), "").err().map(|failed| failed.words());
        assert!(failed.is_some_and(|words| words.starts_with("`false` has failed (exit status: 1)")));
    }
}
