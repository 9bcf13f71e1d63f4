//! What a hostile component file can do: core modules, nested components, calls between them with types and options of
//! chance, files that somebody has damaged, and bytes as they are.
//!
//! Most of them are the command of `shell.wat` with a generated core module in it, and with other things behind. The
//! first four bytes say how the file is run ([`Plan`]), the next one where it comes from, the rest makes it.

mod crowded;
mod linked;

use super::modules::mutated::{self, Sections};
use super::modules::runs::{self, Plan};
use super::modules::{self, generated};
use arbitrary::{Result, Unstructured};
use std::sync::LazyLock;
use wasm_encoder::{ComponentExportKind, ComponentInstanceSection, Encode};
use wasm_smith::Component;

const SHELL: &str = include_str!("components/shell.wat");

static SHELL_PARSED: LazyLock<Vec<u8>> = LazyLock::new(|| wat::parse_str(SHELL).unwrap());

const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;
const INSTANCE: u8 = 5;

pub fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    if let Ok((plan, wasm)) = chosen(&mut choices) {
        runs::check(&plan, &wasm);
    }
}

/// How a file is run, and the file.
fn chosen(choices: &mut Unstructured<'_>) -> Result<(Plan, Vec<u8>)> {
    let plan = Plan::chosen(choices)?;
    let source: u8 = choices.arbitrary()?;
    let wasm = match source % 16 {
        0..=4 => {
            let mut sections = shell(choices)?;
            put_guest(&mut sections, choices)?;
            add_others(&mut sections, choices)?;
            sections.wasm()
        }
        5..=8 => {
            let mut sections = shell(choices)?;
            add_made(&mut sections, choices)?;
            sections.wasm()
        }
        9 => Component::new(generated::config(choices)?, choices)?.to_bytes(),
        10 | 11 => {
            let mut sections = shell(choices)?;
            if choices.arbitrary()? {
                put_guest(&mut sections, choices)?;
            } else {
                add_made(&mut sections, choices)?;
            }
            changed(sections.wasm(), choices)?
        }
        12 | 13 => changed(SHELL_PARSED.clone(), choices)?,
        // These take as long as a hundred others.
        14 if choices.ratio(1, 8)? => match choices.arbitrary()? {
            true => mutated::changed(mutated::shipped("http"), choices)?,
            false => wrapped(&generated::module(choices)?).unwrap_or_default(),
        },
        14 => modules::wasm(choices)?,
        _ => choices.bytes(choices.len())?.to_vec(),
    };
    Ok((plan, wasm))
}

/// The command, now and then of another version of WASI, or one that imports or exports something else.
fn shell(choices: &mut Unstructured<'_>) -> Result<Sections> {
    if !choices.ratio(1, 16)? {
        return Ok(Sections::of(&SHELL_PARSED));
    }
    let (from, to) = choices.choose(&[
        ("@0.2.0", "@0.2.6"),
        ("@0.2.0", "@0.2.99"),
        ("@0.2.0", "@0.3.0"),
        ("wasi:cli/stdout", "wasi:cli/stdin"),
        ("wasi:cli/run", "wasi:cli/ran"),
        ("get-stdout", "get-stderr"),
        ("contents", "content"),
        ("(export \"run\" (func $run)))\n", "(export \"walk\" (func $run)))\n"),
    ])?;
    Ok(Sections::of(&wat::parse_str(SHELL.replace(from, to)).unwrap_or_default()))
}

/// Puts a generated module in the place that `shell.wat` keeps for it.
fn put_guest(sections: &mut Sections, choices: &mut Unstructured<'_>) -> Result<()> {
    let guest = generated::part(choices)?;
    if let Some((_, place)) = sections.0.iter_mut().find(|(id, _)| *id == CORE_MODULE) {
        *place = guest;
    }
    Ok(())
}

/// Adds nested components that nobody makes an instance of.
fn add_others(sections: &mut Sections, choices: &mut Unstructured<'_>) -> Result<()> {
    for _ in 0..choices.int_in_range(0..=2)? {
        if choices.ratio(1, 3)? {
            sections.0.push((CORE_MODULE, generated::part(choices)?));
        } else if choices.arbitrary()? {
            let config = generated::config(choices)?;
            sections.0.push((COMPONENT, Component::new(config, choices)?.to_bytes()));
        }
    }
    Ok(())
}

/// Adds a component that takes nothing, and instances of it.
fn add_made(sections: &mut Sections, choices: &mut Unstructured<'_>) -> Result<()> {
    let made = if choices.ratio(1, 5)? { crowded::component(choices)? } else { linked::component(choices)? };
    sections.0.push((COMPONENT, made));
    let count = if choices.ratio(1, 32)? { choices.int_in_range(2..=40)? } else { 1 };
    let mut instances = ComponentInstanceSection::new();
    for _ in 0..count {
        instances.instantiate(0, std::iter::empty::<(&str, ComponentExportKind, u32)>());
    }
    let mut section = Vec::new();
    instances.encode(&mut section);
    let content = &section[mutated::leb(&section).1..];
    sections.0.push((INSTANCE, content.to_vec()));
    Ok(())
}

/// The file with changes, of which some are in its core modules and components.
fn changed(wasm: Vec<u8>, choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut sections = Sections::of(&wasm);
    let within: Vec<usize> =
        (0..sections.0.len()).filter(|index| [CORE_MODULE, COMPONENT].contains(&sections.0[*index].0)).collect();
    if within.is_empty() || choices.arbitrary()? {
        return mutated::changed(wasm, choices);
    }
    let content = &mut sections.0[*choices.choose(&within)?].1;
    *content = mutated::changed(std::mem::take(content), choices)?;
    Ok(sections.wasm())
}

/// A module wrapped as a command by the adapter for preview 1, if it is fit for it.
fn wrapped(module: &[u8]) -> Option<Vec<u8>> {
    use wasi_preview1_component_adapter_provider as provider;
    let (name, adapter) =
        (provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER);
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(module);
    encoder.and_then(|encoder| encoder.adapter(name, adapter)).and_then(|mut encoder| encoder.encode()).ok()
}
