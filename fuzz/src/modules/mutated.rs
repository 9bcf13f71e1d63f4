//! Files that somebody has damaged or put together from parts of others.

use arbitrary::{Result, Unstructured};
use std::path::Path;
use std::sync::LazyLock;

/// Hand-written modules of some hundred bytes, which are run by other tests too.
const SMALL: [&str; 24] = [
    include_str!("../../../tests/hostile/deep-recursion.wat"),
    include_str!("../../../tests/hostile/division-overflow.wat"),
    include_str!("../../../tests/hostile/endless-start.wat"),
    include_str!("../../../tests/hostile/endless-tail-call.wat"),
    include_str!("../../../tests/hostile/exception-deep.wat"),
    include_str!("../../../tests/hostile/exception-in-start.wat"),
    include_str!("../../../tests/hostile/exit-in-start.wat"),
    include_str!("../../../tests/hostile/extern-tables.wat"),
    include_str!("../../../tests/hostile/fd-closed.wat"),
    include_str!("../../../tests/hostile/fd-renumbered.wat"),
    include_str!("../../../tests/hostile/heap-beside-memory.wat"),
    include_str!("../../../tests/hostile/heap-collections.wat"),
    include_str!("../../../tests/hostile/host-call-name.wat"),
    include_str!("../../../tests/hostile/indirect-call-type.wat"),
    include_str!("../../../tests/hostile/memory-grow-past-maximum.wat"),
    include_str!("../../../tests/hostile/memory-is-function.wat"),
    include_str!("../../../tests/hostile/memory-two.wat"),
    include_str!("../../../tests/hostile/names-of-functions.wat"),
    include_str!("../../../tests/hostile/output-escapes.wat"),
    include_str!("../../../tests/hostile/output-iovecs.wat"),
    include_str!("../../../tests/hostile/sockets.wat"),
    include_str!("../../../tests/hostile/subtype-cast.wat"),
    include_str!("../../../tests/hostile/table-bomb.wat"),
    include_str!("../../../tests/hostile/unreachable.wat"),
];

static PARSED: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| SMALL.iter().map(|wat| wat::parse_str(wat).unwrap()).collect());

pub fn small<'a>(choices: &mut Unstructured<'_>) -> Result<&'a [u8]> {
    Ok(&PARSED[choices.choose_index(PARSED.len())?])
}

/// A runtime as it is shipped.
pub fn prebuilt(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let name = choices.choose(&["passthrough", "file_read", "transform", "stock"])?;
    Ok(shipped(name))
}

/// A file of `runtimes/prebuilt`.
pub fn shipped(name: &str) -> Vec<u8> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().find(|directory| directory.join("runtimes/prebuilt").is_dir()).unwrap();
    std::fs::read(root.join(format!("runtimes/prebuilt/{name}.wasm"))).unwrap()
}

/// A file's sections, each with its number. What is cut off or follows the last one is missing.
pub struct Sections(pub Vec<(u8, Vec<u8>)>, [u8; 8]);

impl Sections {
    pub fn of(wasm: &[u8]) -> Self {
        let mut sections = Sections(Vec::new(), *b"\0asm\x01\0\0\0");
        let Some((header, mut rest)) = wasm.split_first_chunk() else { return sections };
        sections.1 = *header;
        while let Some((id, after)) = rest.split_first() {
            let (size, size_len) = leb(after);
            let Some(content) = after.get(size_len..size_len + size as usize) else { break };
            sections.0.push((*id, content.to_vec()));
            rest = &after[size_len + content.len()..];
        }
        sections
    }

    pub fn wasm(&self) -> Vec<u8> {
        let mut wasm = self.1.to_vec();
        for (id, content) in &self.0 {
            wasm.push(*id);
            wasm_encoder::Encode::encode(&content[..], &mut wasm);
        }
        wasm
    }
}

/// The number that bytes begin with, and how many bytes it has.
pub fn leb(bytes: &[u8]) -> (u32, usize) {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f).wrapping_shl(7 * index as u32);
        if byte & 0x80 == 0 {
            return (value, index + 1);
        }
    }
    (value, bytes.len().min(5))
}

/// The file with one to four changes.
pub fn changed(mut wasm: Vec<u8>, choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    for _ in 0..=choices.int_in_range(0..=3)? {
        change(&mut wasm, choices)?;
    }
    Ok(wasm)
}

fn change(wasm: &mut Vec<u8>, choices: &mut Unstructured<'_>) -> Result<()> {
    let kind: u8 = choices.int_in_range(0..=11)?;
    if kind < 4 {
        return change_sections(wasm, choices);
    }
    change_bytes(wasm, kind, choices)
}

/// Numbers at which something ends or overflows, and one that is longer than any may be.
const NUMBERS: [&[u8]; 6] = [
    &[0],
    &[0x7f],
    &[0xff, 0xff, 3],
    &[0xff, 0xff, 0xff, 0xff, 7],
    &[0xff, 0xff, 0xff, 0xff, 15],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
];

fn change_bytes(bytes: &mut Vec<u8>, kind: u8, choices: &mut Unstructured<'_>) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let at = choices.choose_index(bytes.len())?;
    let until = (at + choices.int_in_range(1..=16)?).min(bytes.len());
    match kind {
        4 | 5 => bytes[at] ^= 1 << choices.int_in_range(0..=7)?,
        6 | 7 => bytes[at] = choices.arbitrary()?,
        8 => drop(bytes.splice(at..=at, choices.choose(&NUMBERS)?.iter().copied())),
        9 => drop(bytes.drain(at..until)),
        10 => {
            let copied = bytes[at..until].to_vec();
            let to = choices.choose_index(bytes.len())?;
            drop(bytes.splice(to..to, copied));
        }
        _ if choices.ratio(1, 4)? => bytes.truncate(at),
        _ => drop(bytes.splice(at..at, choices.bytes(choices.len().min(4))?.to_vec())),
    }
    Ok(())
}

/// Changes sections so that their sizes are right again: one is damaged within, is gone, appears twice, changes its place or
/// becomes another file's.
fn change_sections(wasm: &mut Vec<u8>, choices: &mut Unstructured<'_>) -> Result<()> {
    let mut sections = Sections::of(wasm);
    if sections.0.is_empty() {
        return Ok(());
    }
    let at = choices.choose_index(sections.0.len())?;
    let to = choices.choose_index(sections.0.len())?;
    match choices.int_in_range(0..=9)? {
        0 => drop(sections.0.remove(at)),
        1 => {
            let copied = sections.0[at].clone();
            sections.0.insert(to, copied);
        }
        2 => sections.0.swap(at, to),
        3 => {
            let mut others = Sections::of(small(choices)?).0;
            let other = others.swap_remove(choices.choose_index(others.len())?);
            match sections.0.iter_mut().find(|section| section.0 == other.0) {
                Some(section) => *section = other,
                None => sections.0.insert(to, other),
            }
        }
        4 => sections.0[at].0 = choices.int_in_range(0..=15)?,
        5 => sections.0.insert(to, (0, choices.bytes(choices.len().min(8))?.to_vec())),
        _ => {
            let kind = choices.int_in_range(4..=11)?;
            change_bytes(&mut sections.0[at].1, kind, choices)?;
        }
    }
    *wasm = sections.wasm();
    Ok(())
}
