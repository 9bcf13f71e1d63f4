//! The subcommands, each with its own arguments.

pub mod pipeline;
