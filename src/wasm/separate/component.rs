//! Separates a component: the data of the one core module in it that has a memory.

use super::leb::leb;
use super::{Purpose, Section, Separated, Shifts, id, sections, separated, text};
use wasmparser::{
    BinaryReader, ComponentExternalKind, ComponentInstance, ComponentInstanceSectionReader, Instance,
    InstanceSectionReader,
};

/// The number of a section with a core module.
const MODULE: u8 = 1;
/// The number of a section with instances of core modules.
const INSTANCES: u8 = 2;
/// The number of a section with a component.
const COMPONENT: u8 = 4;
/// The number of a section with instances of components.
const COMPONENT_INSTANCES: u8 = 5;

/// The fewest bytes of data for which a component is separated. With less, its memories are as good in wasmtime's pool.
pub(super) const FEWEST: usize = 1 << 20;

/// Separates a component, or says why it cannot be separated or need not be.
pub(crate) fn separate_component(wasm: &[u8], looks_at_code: bool) -> Result<Separated<'_>, String> {
    let mut code = wasm.get(..8).unwrap_or_default().to_vec();
    let (mut shifts, mut separated_one) = (Vec::new(), None);
    // The number of core modules so far, the number of the one with the memory, and of which modules there are instances.
    let (mut modules, mut with_memory, mut instantiated) = (0, None, Vec::new());
    for Section { id, range, content } in sections(wasm)? {
        match id {
            INSTANCES => note_instances(&wasm[content.clone()], &mut instantiated)?,
            COMPONENT_INSTANCES => refuse_modules(&wasm[content.clone()])?,
            _ => {}
        }
        if id == COMPONENT && has_module(&wasm[content.clone()])? {
            return Err("it has a component with a module in it".to_owned());
        }
        let has_data = |module: &[u8]| Ok::<_, String>(sections(module)?.iter().any(|section| section.id == id::DATA));
        let module = &wasm[content.clone()];
        modules += u32::from(id == MODULE);
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
        with_memory = Some(modules - 1);
        let Separated { code: inner, data, memory_bytes, shifts: inner_shifts } =
            separated(module, Purpose::Calls, looks_at_code)?;
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
    if instantiated.iter().filter(|module| Some(**module) == with_memory).count() > 1 {
        return Err("it has several memories".to_owned());
    }
    if data.iter().map(|(_, data)| data.len()).sum::<usize>() < FEWEST {
        return Err("it has little data".to_owned());
    }
    Ok(Separated { code, data, memory_bytes, shifts: Shifts(shifts) })
}

/// Notes the modules that a section instantiates.
fn note_instances(content: &[u8], instantiated: &mut Vec<u32>) -> Result<(), String> {
    for instance in InstanceSectionReader::new(BinaryReader::new(content, 0)).map_err(text)? {
        if let Instance::Instantiate { module_index, .. } = instance.map_err(text)? {
            instantiated.push(module_index);
        }
    }
    Ok(())
}

/// Refuses a component that hands a module to another one, which may instantiate it as often as it wants.
fn refuse_modules(content: &[u8]) -> Result<(), String> {
    for instance in ComponentInstanceSectionReader::new(BinaryReader::new(content, 0)).map_err(text)? {
        if let ComponentInstance::Instantiate { args, .. } = instance.map_err(text)?
            && args.iter().any(|argument| argument.kind == ComponentExternalKind::Module)
        {
            return Err("it hands a module to a component".to_owned());
        }
    }
    Ok(())
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
