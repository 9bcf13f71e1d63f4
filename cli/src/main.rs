//! The program `arawn`: runs sandboxed WebAssembly runtimes from the command line.

mod args;
mod axis;
mod call;
mod commands;
mod ending;
mod exit;
mod failed;
mod grants;
mod guest_stderr;
mod hints;
mod input;
mod interrupt;
mod language;
mod names;
mod near;
mod notices;
mod picture;
mod places;
mod process;
mod progress;
mod project;
mod report;
mod request;
mod rounds;
mod samples;
mod shell;
mod svg;
mod table;
mod task;
mod timeline;
mod toolchain;
mod units;

use args::{Arguments, Command};
use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => {
            let printed = answer.print().and_then(|()| io::stdout().flush());
            return match answer.use_stderr() {
                // Where nobody reads stderr there is nobody to tell.
                true => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2)),
                false => report::status(printed).into(),
            };
        }
    };
    match arguments.command {
        Command::New(arguments) => commands::new::run(&arguments).into(),
        Command::Build(arguments) => commands::build::run(&arguments).into(),
        Command::Test(arguments) => commands::test::run(&arguments).into(),
        Command::Pipeline(arguments) => commands::pipeline::run(&arguments).into(),
        Command::Run(arguments) => commands::run::run(&arguments).into(),
        Command::List(arguments) => commands::list::run(&arguments).into(),
        Command::Inspect(arguments) => commands::inspect::run(&arguments).into(),
        Command::Register(arguments) => commands::register::run(&arguments).into(),
        Command::Remove(arguments) => commands::remove::run(&arguments).into(),
        Command::Cache(arguments) => commands::cache::run(&arguments).into(),
        Command::Bench(arguments) => commands::bench::run(&arguments).into(),
        Command::Profile(arguments) => commands::profile::run(&arguments).into(),
        Command::Completions(arguments) => commands::completions::run(&arguments).into(),
        Command::Share(arguments) => commands::share::run(&arguments).into(),
    }
}
