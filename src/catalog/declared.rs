//! What a module says of itself at its surface, without compiling it.

use std::io::{self, BufReader, Read, Seek};
use wasmparser::{BinaryReader, ComponentImportSectionReader, ImportSectionReader};

/// What a file declares itself to be. Nothing here has been validated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// `module` or `component`.
    pub kind: &'static str,
    /// `module.name` of a module's, the name of a component's.
    pub imports: Vec<String>,
}

/// Sections' numbers.
const MODULE_IMPORTS: u8 = 2;
const COMPONENT_IMPORTS: u8 = 10;

/// Goes from section to section and reads only those of imports, so that the rest of a large file is never read.
pub(crate) fn declared(file: impl Read + Seek) -> io::Result<Declared> {
    let mut file = BufReader::new(file);
    let mut header = [0; 8];
    file.read_exact(&mut header)?;
    let (kind, section) = match header {
        [0, b'a', b's', b'm', 1, 0, 0, 0] => ("module", MODULE_IMPORTS),
        [0, b'a', b's', b'm', _, 0, 1, 0] => ("component", COMPONENT_IMPORTS),
        _ => return Err(io::Error::other("it is not WebAssembly")),
    };
    let mut imports = Vec::new();
    while let Some(id) = byte(&mut file)? {
        let size = length(&mut file)?;
        if id != section {
            file.seek_relative(size.into())?;
            continue;
        }
        let mut bytes = Vec::new();
        (&mut file).take(size.into()).read_to_end(&mut bytes)?;
        let reader = BinaryReader::new(&bytes, 0);
        let read = if kind == "module" { of_module(reader, &mut imports) } else { of_component(reader, &mut imports) };
        read.map_err(io::Error::other)?;
    }
    Ok(Declared { kind, imports })
}

fn of_module(reader: BinaryReader<'_>, imports: &mut Vec<String>) -> wasmparser::Result<()> {
    for import in ImportSectionReader::new(reader)?.into_imports() {
        let import = import?;
        imports.push(format!("{}.{}", import.module, import.name));
    }
    Ok(())
}

fn of_component(reader: BinaryReader<'_>, imports: &mut Vec<String>) -> wasmparser::Result<()> {
    for import in ComponentImportSectionReader::new(reader)? {
        let name = import?.name;
        imports.push([name.name, name.version_suffix.unwrap_or_default()].concat());
    }
    Ok(())
}

fn byte(file: &mut impl Read) -> io::Result<Option<u8>> {
    file.bytes().next().transpose()
}

/// An unsigned LEB128 of 32 bits.
fn length(file: &mut impl Read) -> io::Result<u32> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let next = byte(file)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        value |= u64::from(next & 0x7f) << shift;
        if next < 0x80 {
            return u32::try_from(value).map_err(io::Error::other);
        }
    }
    Err(io::Error::other("a section's length is no number of 32 bits"))
}

impl Declared {
    /// The keys of an executor's `capabilities` that the imports can make use of.
    pub fn capabilities(&self) -> Vec<&'static str> {
        let of = |test: fn(&str) -> bool| self.imports.iter().any(|import| test(import));
        let files = |import: &str| {
            let of_preview_1 = import.strip_prefix("wasi_snapshot_preview1.");
            of_preview_1.is_some_and(|name| name.starts_with("path_") || name == "fd_readdir")
                || import.starts_with("wasi:filesystem/")
        };
        let host_functions =
            |import: &str| import.starts_with("arawn.host_") || import.starts_with("arawn:host/functions");
        let known = [
            ("dirs", of(files)),
            ("http", of(|import| import.starts_with("wasi:http/"))),
            ("host_functions", of(host_functions)),
        ];
        known.into_iter().filter(|(_, is_imported)| *is_imported).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn imports_are_read_and_the_rest_is_not() -> io::Result<()> {
        let imports = |wat: &str| wat::parse_str(wat).map_err(io::Error::other).map(Cursor::new).and_then(declared);
        let module = imports(
            r#"(module (@custom "before" "xyz") (import "wasi_snapshot_preview1" "path_open" (func))
            (import "arawn" "host_call" (func)) (import "a.b" "" (memory 1)) (func) (data (i32.const 0) "abc"))"#,
        )?;
        assert_eq!(module.imports, ["wasi_snapshot_preview1.path_open", "arawn.host_call", "a.b."]);
        assert_eq!((module.kind, module.capabilities()), ("module", vec!["dirs", "host_functions"]));
        let component = imports(
            r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance))
            (core module (import "arawn" "host_call" (func))) (import "f" (func)))"#,
        )?;
        assert_eq!(component.imports, ["wasi:http/outgoing-handler@0.2.0", "f"]);
        assert_eq!((component.kind, component.capabilities()), ("component", vec!["http"]));
        assert_eq!(imports("(module)")?.imports, [""; 0]);
        let long = wat::parse_str("(module (import \"a\" \"b\" (func)))").map_err(io::Error::other)?;
        for length in 9..long.len() {
            let cut = declared(Cursor::new(&long[..length]));
            assert!(cut.is_err() || cut.is_ok_and(|cut| cut.imports.is_empty()), "{length}");
        }
        assert!(declared(Cursor::new([0, b'a', b's', b'm', 1, 0, 0, 0, 2, 255, 255, 255, 255, 255])).is_err());
        Ok(())
    }
}
