//! The pass before the compiler: one walk over a file that counts what the compiler's cost depends on.

mod arity;
mod code;
mod component;
mod component_types;
mod costs;
mod expansion;
mod extent;
mod findings;
mod limits;
mod liveness;
mod module;
mod operators;
mod problem;
mod provided;
mod startup;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use limits::COUNTED_BY_STORES;
pub(crate) use provided::{Provided, Signature};

use crate::error::Result;
use component::Component;
use findings::Findings;
use limits::Limit;
use module::Module;
use problem::Problem;
use wasmparser::{Chunk, Encoding, Parser, Payload};

/// What the pass tells of a file that it lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Whether instances may have a heap of wasmtime's collector: true wherever wasmtime says so, and for files that mention
    /// such types without ever making one.
    pub needs_gc_heap: bool,
    /// Whether the compiler is expected to take less than a second.
    pub is_small: bool,
    /// Whether it says which lines of its source it comes from.
    pub has_lines: bool,
}

impl Shape {
    /// Looks at a file from its first byte to its last.
    ///
    /// # Errors
    /// `module_invalid`, and `unsupported` for a component in a build without them.
    pub fn of(name: &str, wasm: &[u8], provided: &dyn Provided) -> Result<Self> {
        super::Kind::of(name, wasm)?;
        let mut findings = Findings::new(code_bytes(wasm));
        walk(wasm, provided, &mut findings).map_err(|problem| problem.into_error(name))?;
        let Findings { needs_gc_heap, has_lines, .. } = findings;
        Ok(Shape { needs_gc_heap, is_small: findings.tally.is_small(), has_lines })
    }
}

/// The bytes of all functions, by which limits grow: what else is in a file, such as data, costs the compiler nothing. Of a file
/// that is not valid, those before the fault.
fn code_bytes(wasm: &[u8]) -> usize {
    let sections = Parser::new(0).parse_all(wasm).map_while(std::result::Result::ok);
    let code = sections.filter_map(|section| match section {
        Payload::CodeSectionStart { range, .. } => Some(range.len()),
        _ => None,
    });
    code.sum::<usize>().min(wasm.len())
}

/// Goes through the file's sections, and through those of the modules and components in it.
fn walk(wasm: &[u8], provided: &dyn Provided, findings: &mut Findings) -> std::result::Result<(), Problem> {
    let (mut parser, mut at) = (Parser::new(0), 0);
    // Those in which the parser's part lies; `component_depth` bounds them.
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
            Payload::Version { encoding: Encoding::Component, .. } => component.begin(findings)?,
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
                findings.tally.add(Limit::Modules, 1)?;
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::ComponentSection { parser: inner, .. } => {
                findings.tally.add(Limit::Components, 1)?;
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => {
                let mut ended = module.take();
                if let Some(module) = &mut ended {
                    module.end(findings)?;
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
                    module.section(wasm, payload, provided, findings)?;
                }
                None => component.section(wasm, payload, provided, findings)?,
            },
        }
    }
}
