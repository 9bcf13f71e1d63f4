//! Encodes WebAssembly files as bytes. The text format has a limit of its own for what is nested.

/// An unsigned LEB128.
pub fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A count and the items.
pub fn list<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Vec<u8> {
    let (mut count, mut bytes) = (0, Vec::new());
    for item in items {
        count += 1;
        bytes.extend(item.as_ref());
    }
    [leb(count), bytes].concat()
}

/// The same item so many times.
pub fn times(count: usize, item: &[u8]) -> Vec<u8> {
    [leb(count as u64), item.repeat(count)].concat()
}

/// A signed LEB128 of a number that is not negative. The format has it for the index of a type where a type's own code
/// may stand too.
pub fn signed(value: u64) -> Vec<u8> {
    let mut bytes = leb(value);
    if let Some(last) = bytes.last_mut().filter(|last| **last & 0x40 != 0) {
        *last |= 0x80;
        bytes.push(0);
    }
    bytes
}

pub fn name(text: &str) -> Vec<u8> {
    [&leb(text.len() as u64), text.as_bytes()].concat()
}

/// A section by its number.
pub fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(body.len() as u64), body].concat()
}

pub fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0", &*sections.concat()].concat()
}

pub fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", &*sections.concat()].concat()
}

/// A module that exports its first function that is not imported as `_start`.
#[derive(Default)]
pub struct Module {
    /// The types after type 0, which is that of functions without parameters and results.
    pub types: Vec<Vec<u8>>,
    /// Imported functions.
    pub imports: Vec<Vec<u8>>,
    pub tables: Vec<Vec<u8>>,
    pub memories: Vec<Vec<u8>>,
    pub tags: Vec<Vec<u8>>,
    pub globals: Vec<Vec<u8>>,
    pub exports: Vec<Vec<u8>>,
    pub elements: Vec<Vec<u8>>,
    pub datas: Vec<Vec<u8>>,
    /// The functions, all of type 0: locals, and instructions without the last `end`.
    pub bodies: Vec<Vec<u8>>,
}

impl Module {
    pub fn wasm(mut self) -> Vec<u8> {
        if self.bodies.is_empty() {
            self.bodies.push(vec![0]);
        }
        let start = [b"\x06_start\0", &*leb(self.imports.len() as u64)].concat();
        let sized = |body: &Vec<u8>| [&leb(body.len() as u64 + 1), &**body, &[0x0b]].concat();
        let sections = [
            (1, list([vec![0x60, 0, 0]].iter().chain(&self.types))),
            (2, list(&self.imports)),
            (3, times(self.bodies.len(), &[0])),
            (4, list(&self.tables)),
            (5, list(&self.memories)),
            (13, list(&self.tags)),
            (6, list(&self.globals)),
            (7, list([start].iter().chain(&self.exports))),
            (9, list(&self.elements)),
            (10, list(self.bodies.iter().map(sized))),
            (11, list(&self.datas)),
        ];
        let present = sections.iter().filter(|(_, body)| *body != [0]);
        module(&present.map(|(id, body)| section(*id, body)).collect::<Vec<_>>())
    }
}

/// A module with one function, `_start`, of these instructions.
pub fn start(instructions: &[u8]) -> Vec<u8> {
    Module { bodies: vec![[&[0], instructions].concat()], ..Module::default() }.wasm()
}

/// A component with these sections, and then the export of a WASI command.
pub fn command(sections: &[Vec<u8>]) -> Vec<u8> {
    let export = [&[0][..], &name("wasi:cli/run@0.2.0"), &[5, 0, 0]].concat();
    component(&[sections, &[section(11, &list([export]))]].concat())
}

/// Types that are written inside each other: of instances (0x42) or of components (0x41).
pub fn nested_types(kind: u8, depth: usize) -> Vec<u8> {
    let outer = [kind, 1, 1].repeat(depth - 1);
    command(&[section(7, &[&[1], &*outer, &[kind, 0]].concat())])
}

/// Types that refer to each other: each exports the type before it so many times.
pub fn referring_types(kind: u8, depth: usize, exports: usize) -> Vec<u8> {
    let sort = if kind == 0x42 { 5 } else { 4 };
    let first = vec![kind, 0];
    let others = (0..depth as u64 - 1).map(|before| {
        let alias = [&[2, 3, 2, 1], &*leb(before)].concat();
        let export = |index: usize| [&[4, 0][..], &name(&format!("x{index}")), &[sort, 0]].concat();
        [vec![kind], list([alias].into_iter().chain((0..exports).map(export)))].concat()
    });
    command(&[section(7, &list([first].into_iter().chain(others)))])
}

/// Components inside each other.
pub fn nested_components(depth: usize) -> Vec<u8> {
    command(&[section(4, &(2..depth).fold(component(&[]), |inner, _| component(&[section(4, &inner)])))])
}

/// Components inside each other, each of which makes so many instances of the one in it. The innermost has a core
/// instance.
pub fn multiplying_components(depth: usize, instances: usize) -> Vec<u8> {
    let innermost = component(&[section(1, &module(&[])), section(2, &[1, 0, 0, 0])]);
    (1..depth).fold(innermost, |inner, _| component(&[section(4, &inner), section(5, &times(instances, &[0, 0, 0]))]))
}

/// Blocks (0x02) or loops (0x03) inside each other, around the instructions `inside`.
pub fn nested_blocks(kind: u8, depth: usize, inside: &[u8]) -> Vec<u8> {
    [&[kind, 0x40].repeat(depth), inside, &[0x0b].repeat(depth)].concat()
}
