//! What a hostile module file can do: generated modules, files that somebody has damaged, and bytes as they are.
//!
//! The first four bytes say how the module is run ([`Plan`]), the next one where it comes from, the rest makes it.

pub mod generated;
pub mod mutated;
pub mod runs;

use arbitrary::{Result, Unstructured};
use runs::Plan;

pub fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    if let Ok((plan, wasm)) = chosen(&mut choices) {
        runs::check(&plan, &wasm);
    }
}

/// How a file is run, and the file.
fn chosen(choices: &mut Unstructured<'_>) -> Result<(Plan, Vec<u8>)> {
    let plan = Plan::chosen(choices)?;
    Ok((plan, wasm(choices)?))
}

/// A module, or what may have been one.
pub fn wasm(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let source: u8 = choices.arbitrary()?;
    Ok(match source % 16 {
        0..=9 => generated::module(choices)?,
        10 => mutated::changed(generated::module(choices)?, choices)?,
        11..=13 => mutated::changed(mutated::small(choices)?.to_vec(), choices)?,
        // A large one takes as long as a hundred others.
        14 if choices.ratio(1, 8)? => mutated::changed(mutated::prebuilt(choices)?, choices)?,
        14 => mutated::small(choices)?.to_vec(),
        _ => choices.bytes(choices.len())?.to_vec(),
    })
}
