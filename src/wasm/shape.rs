//! The pass before the compiler: one walk over a file that counts what the compiler's cost depends on.

mod arity;
mod code;
mod component;
mod component_types;
mod costs;
mod expansion;
mod extent;
mod limits;
mod liveness;
mod module;
mod operators;
mod problem;
mod provided;
mod scratch;
mod startup;
mod tally;
#[cfg(test)]
mod tests;
mod totals;
mod types;

pub(crate) use limits::COUNTED_BY_STORES;
pub(crate) use provided::{Provided, Signature};

use crate::error::Result;
use component::Component;
use limits::Limit;
use module::Module;
use problem::Problem;
use totals::Totals;
use wasmparser::{Chunk, Encoding, Parser, Payload};

/// What the pass has found in a file that it lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Whether instances may have a heap of wasmtime's garbage collector. True for each file for which wasmtime makes a
    /// heap, and also for files that mention collected types and never make a value of one.
    pub needs_gc_heap: bool,
    /// Whether the compiler is expected to take less than a second.
    pub is_small: bool,
    /// Whether it says which lines of its source it comes from.
    pub has_lines: bool,
}

impl Shape {
    /// Walks over a file from its first byte to its last.
    ///
    /// # Errors
    /// `module_invalid`, and `unsupported` for a component in a build without them.
    pub fn of(name: &str, wasm: &[u8], provided: &dyn Provided) -> Result<Self> {
        super::kind::Kind::of(name, wasm)?;
        let mut totals = Totals::new(code_bytes(wasm));
        walk(wasm, provided, &mut totals).map_err(|problem| problem.into_error(name))?;
        let Totals { needs_gc_heap, has_lines, .. } = totals;
        Ok(Shape { needs_gc_heap, is_small: totals.tally.is_small(), has_lines })
    }
}

/// The bytes of all code sections in the file, with which the limits grow. Everything else in a file, such as data,
/// costs the compiler nothing. If the file is malformed, these are the code sections before the fault.
fn code_bytes(wasm: &[u8]) -> usize {
    let sections = Parser::new(0).parse_all(wasm).map_while(std::result::Result::ok);
    let code = sections.filter_map(|section| match section {
        Payload::CodeSectionStart { range, .. } => Some(range.len()),
        _ => None,
    });
    code.sum::<usize>().min(wasm.len())
}

/// Goes through the sections of the file, and of the modules and components in it.
fn walk(wasm: &[u8], provided: &dyn Provided, totals: &mut Totals) -> std::result::Result<(), Problem> {
    let (mut parser, mut at) = (Parser::new(0), 0);
    // The parsers of the components around the current module or component. `component_depth` bounds their number.
    let mut outer = Vec::new();
    let (mut module, mut component) = (None, Component::default());
    loop {
        let (payload, consumed) = match parser.parse(&wasm[at..], true)? {
            Chunk::Parsed { payload, consumed } => (payload, consumed),
            Chunk::NeedMoreData(_) => return Err(Problem::Other("it is cut off".to_owned())),
        };
        at += consumed;
        match payload {
            Payload::Version { encoding: Encoding::Module, range, .. } => module = Some(Module::new(range.start)),
            Payload::Version { encoding: Encoding::Component, .. } => component.begin(totals)?,
            Payload::ModuleSection { unchecked_range: range, .. }
            | Payload::ComponentSection { unchecked_range: range, .. }
                if range.end > wasm.len() =>
            {
                let (end, len) = (range.end, wasm.len());
                return Err(Problem::Other(format!(
                    "it is cut off: a section ends at byte {end}, the file at byte {len}"
                )));
            }
            Payload::ModuleSection { parser: inner, .. } => {
                totals.tally.add(Limit::Modules, 1)?;
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::ComponentSection { parser: inner, .. } => {
                totals.tally.add(Limit::Components, 1)?;
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => {
                let mut ended = module.take();
                if let Some(module) = &mut ended {
                    module.end(totals)?;
                }
                let Some(around) = outer.pop() else {
                    return match ended {
                        Some(mut module) => module.check(),
                        None => component.check(),
                    };
                };
                match ended {
                    Some(module) => component.module(module.own()),
                    None => component.end(),
                }
                parser = around;
            }
            payload => match &mut module {
                Some(module) => {
                    let provided = outer.is_empty().then_some(provided);
                    module.section(wasm, payload, provided, totals)?;
                }
                None => component.section(wasm, payload, provided, totals)?,
            },
        }
    }
}
