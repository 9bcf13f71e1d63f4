//! Separates a component: the data of the one core module in it that has a memory.

use super::leb::leb;
use super::{Purpose, Section, Separated, Shifts, id, sections, separated};

/// The number of a section with a core module.
const MODULE: u8 = 1;
/// The number of a section with a component.
const COMPONENT: u8 = 4;

/// The fewest bytes of data for which a component is separated. With less, its memories are as good in wasmtime's pool.
pub(super) const FEWEST: usize = 1 << 20;

/// Separates a component, or says why it cannot be separated or need not be.
pub(crate) fn separate_component(wasm: &[u8], looks_at_code: bool) -> Result<Separated<'_>, String> {
    let mut code = wasm.get(..8).unwrap_or_default().to_vec();
    let (mut shifts, mut separated_one) = (Vec::new(), None);
    for Section { id, range, content } in sections(wasm)? {
        if id == COMPONENT && has_module(&wasm[content.clone()])? {
            return Err("it has a component with a module in it".to_owned());
        }
        let has_data = |module: &[u8]| Ok::<_, String>(sections(module)?.iter().any(|section| section.id == id::DATA));
        let module = &wasm[content.clone()];
        let has_memory = id == MODULE && sections(module)?.iter().any(|section| section.id == id::MEMORY);
        if !has_memory {
            if id == MODULE && has_data(module)? {
                return Err("it has data in a module without a memory".to_owned());
            }
            code.extend_from_slice(&wasm[range]);
            continue;
        }
        if separated_one.is_some() {
            return Err("it has several memories".to_owned());
        }
        let Separated { code: inner, data, memory_bytes, shifts: inner_shifts } =
            separated(module, Purpose::Component, looks_at_code)?;
        code.push(id);
        code.extend(leb(inner.len() as u64));
        let moved = content.start as i64 - code.len() as i64;
        shifts.push((code.len() as u64, moved));
        let begin = code.len() as u64;
        shifts.extend(inner_shifts.0.into_iter().map(|(from, shift)| (begin + from, shift + moved)));
        code.extend(inner);
        shifts.push((code.len() as u64, content.end as i64 - code.len() as i64));
        separated_one = Some((data, memory_bytes));
    }
    let (data, memory_bytes) = separated_one.ok_or("it has no memory")?;
    if data.iter().map(|(_, data)| data.len()).sum::<usize>() < FEWEST {
        return Err("it has little data".to_owned());
    }
    Ok(Separated { code, data, memory_bytes, shifts: Shifts(shifts) })
}

/// Whether a component has a core module in it, at whatever depth.
fn has_module(component: &[u8]) -> Result<bool, String> {
    for Section { id, content, .. } in sections(component)? {
        if id == MODULE || id == COMPONENT && has_module(&component[content])? {
            return Ok(true);
        }
    }
    Ok(false)
}
