//! The arguments of the program.

use crate::commands::bench::BenchArguments;
use crate::commands::build::BuildArguments;
use crate::commands::cache::CacheArguments;
use crate::commands::completions::CompletionsArguments;
use crate::commands::inspect::InspectArguments;
use crate::commands::list::ListArguments;
use crate::commands::new::NewArguments;
use crate::commands::pipeline::PipelineArguments;
use crate::commands::profile::ProfileArguments;
use crate::commands::register::RegisterArguments;
use crate::commands::remove::RemoveArguments;
use crate::commands::run::RunArguments;
use crate::commands::share::ShareArguments;
use crate::commands::test::TestArguments;
use clap::{Parser, Subcommand};

/// Runs sandboxed WebAssembly runtimes: JSON in, JSON out.
#[derive(Debug, Parser)]
#[command(name = "arawn", version, arg_required_else_help = true, subcommand_required = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    New(NewArguments),
    Build(BuildArguments),
    Run(RunArguments),
    Test(TestArguments),
    Pipeline(PipelineArguments),
    List(ListArguments),
    Inspect(InspectArguments),
    Register(RegisterArguments),
    Remove(RemoveArguments),
    Cache(CacheArguments),
    Bench(BenchArguments),
    Profile(ProfileArguments),
    Completions(CompletionsArguments),
    Share(ShareArguments),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Arguments::command().debug_assert();
    }
}
