//! What a module says of itself at its surface, without compiling it.

use crate::error::Result;
use crate::module_cache::{Kind, module_invalid};
use std::io::{self, BufRead, BufReader, Read, Seek};
use wasmparser::{BinaryReader, ComponentImportSectionReader, ImportSectionReader};

/// What a file declares itself to be. Nothing here has been validated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub kind: Kind,
    /// `module.name` of a module's, the name of a component's.
    pub imports: Vec<String>,
}

/// Sections' numbers.
const MODULE_IMPORTS: u8 = 2;
const COMPONENT_IMPORTS: u8 = 10;

/// Goes from section to section and reads only those of imports, so that the rest of a large file is never read.
pub(crate) fn declared(name: &str, file: impl Read + Seek) -> Result<Declared> {
    let mut file = BufReader::new(file);
    let mut header = Vec::new();
    let cut = |error: io::Error| module_invalid(name, error.to_string());
    (&mut file).take(8).read_to_end(&mut header).map_err(cut)?;
    let kind = Kind::of(name, &header)?;
    let imports = imports(kind, &mut file).map_err(cut)?;
    Ok(Declared { kind, imports })
}

fn imports(kind: Kind, file: &mut BufReader<impl Read + Seek>) -> io::Result<Vec<String>> {
    let mut imports = Vec::new();
    while let Some(id) = byte(file)? {
        let size = length(file)?;
        let read = match (kind, id) {
            (Kind::Module, MODULE_IMPORTS) => of_module,
            (Kind::Component, COMPONENT_IMPORTS) => of_component,
            _ => {
                file.seek_relative(size.into())?;
                continue;
            }
        };
        let mut bytes = Vec::new();
        file.take(size.into()).read_to_end(&mut bytes)?;
        read(BinaryReader::new(&bytes, 0), &mut imports).map_err(io::Error::other)?;
    }
    Ok(imports)
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

fn byte(file: &mut impl BufRead) -> io::Result<Option<u8>> {
    file.bytes().next().transpose()
}

/// An unsigned LEB128 of 32 bits.
fn length(file: &mut impl BufRead) -> io::Result<u32> {
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
    fn imports_are_read_and_the_rest_is_not() -> Result<()> {
        let imports = |wat: &str| declared("a", Cursor::new(wat::parse_str(wat).unwrap_or_default()));
        let module = imports(
            r#"(module (@custom "before" "xyz") (import "wasi_snapshot_preview1" "path_open" (func))
            (import "arawn" "host_call" (func)) (import "a.b" "" (memory 1)) (func) (data (i32.const 0) "abc"))"#,
        )?;
        assert_eq!(module.imports, ["wasi_snapshot_preview1.path_open", "arawn.host_call", "a.b."]);
        assert_eq!((module.kind, module.capabilities()), (Kind::Module, vec!["dirs", "host_functions"]));
        if cfg!(feature = "components") {
            let component = imports(
                r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance))
                (core module (import "arawn" "host_call" (func))) (import "f" (func)))"#,
            )?;
            assert_eq!(component.imports, ["wasi:http/outgoing-handler@0.2.0", "f"]);
            assert_eq!((component.kind, component.capabilities()), (Kind::Component, vec!["http"]));
        }
        assert_eq!(imports("(module)")?.imports, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_file_that_is_cut_or_lies_about_its_sections_is_an_error_or_has_no_imports() {
        let long = wat::parse_str("(module (import \"a\" \"b\" (func)))").unwrap_or_default();
        assert!(long.len() > 9);
        for length in 0..long.len() {
            let cut = declared("a", Cursor::new(&long[..length]));
            assert!(cut.is_err() || cut.is_ok_and(|cut| cut.imports.is_empty()), "{length}");
        }
        assert!(declared("a", Cursor::new([0, b'a', b's', b'm', 1, 0, 0, 0, 2, 255, 255, 255, 255, 255])).is_err());
        assert!(declared("a", Cursor::new([0, b'a', b's', b'm', 1, 0, 0, 0, 2, 255, 255, 255, 255, 15])).is_err());
    }
}
