//! What a file declares: its kind and its imports.

use super::kind::{Kind, module_invalid};
use crate::error::{Result, quoted};
use wasmparser::{BinaryReader, ComponentImportSectionReader, ImportSectionReader};

/// The most imports that are listed.
const MAX_IMPORTS: usize = 1000;
/// The most bytes that the names of listed imports have together. A compact import section writes the module name once
/// for many imports, so that the list could otherwise have far more bytes than the file.
const LISTED_BYTES: usize = 256 << 10;

/// What a file declares. Nothing here has been validated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declarations {
    pub kind: Kind,
    /// The first [`MAX_IMPORTS`] imports at most: `module.name` for an import of a module, the name for one of a component.
    pub imports: Vec<String>,
    /// The bytes of their names.
    bytes: usize,
}

/// The numbers of the import sections.
const MODULE_IMPORTS: u8 = 2;
const COMPONENT_IMPORTS: u8 = 10;

impl Declarations {
    /// Reads the import sections and skips all others. If the file is cut off or malformed, the imports before the
    /// fault are listed; if there are none, that is an error.
    pub fn of(name: &str, wasm: &[u8]) -> Result<Self> {
        let kind = Kind::of(name, wasm)?;
        let mut declarations = Declarations { kind, imports: Vec::new(), bytes: 0 };
        let read = declarations.read(BinaryReader::new(&wasm[8..], 8));
        match read {
            Err(error) if declarations.imports.is_empty() => Err(module_invalid(name, error.to_string())),
            _ => Ok(declarations),
        }
    }

    fn read(&mut self, mut reader: BinaryReader<'_>) -> wasmparser::Result<()> {
        while !reader.eof() && !self.is_full() {
            let (id, section) = (reader.read_u8()?, reader.read_reader()?);
            match (self.kind, id) {
                (Kind::Module, MODULE_IMPORTS) => self.of_module(section)?,
                (Kind::Component, COMPONENT_IMPORTS) => self.of_component(section)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn of_module(&mut self, reader: BinaryReader<'_>) -> wasmparser::Result<()> {
        for import in ImportSectionReader::new(reader)?.into_imports() {
            let import = import?;
            if !self.list(&[import.module, ".", import.name]) {
                break;
            }
        }
        Ok(())
    }

    fn of_component(&mut self, reader: BinaryReader<'_>) -> wasmparser::Result<()> {
        for import in ComponentImportSectionReader::new(reader)? {
            let name = import?.name;
            if !self.list(&[name.name, name.version_suffix.unwrap_or_default()]) {
                break;
            }
        }
        Ok(())
    }

    /// Lists an import; `false` if the list is full.
    fn list(&mut self, parts: &[&str]) -> bool {
        self.bytes += parts.iter().map(|part| part.len()).sum::<usize>();
        if self.is_full() {
            return false;
        }
        self.imports.push(parts.iter().map(|part| quoted(part)).collect());
        true
    }

    fn is_full(&self) -> bool {
        self.imports.len() >= MAX_IMPORTS || self.bytes > LISTED_BYTES
    }

    /// The keys of an executor's `capabilities` that the imports can use.
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

    fn declarations(wat: &str) -> Result<Declarations> {
        Declarations::of("a", &wat::parse_str(wat).unwrap_or_default())
    }

    #[test]
    fn imports_are_read_and_the_rest_is_not() -> Result<()> {
        let module = declarations(
            r#"(module (@custom "before" "xyz") (import "wasi_snapshot_preview1" "path_open" (func))
            (import "arawn" "host_call" (func)) (import "a.b" "" (memory 1)) (func) (data (i32.const 0) "abc"))"#,
        )?;
        assert_eq!(module.imports, ["wasi_snapshot_preview1.path_open", "arawn.host_call", "a.b."]);
        assert_eq!((module.kind, module.capabilities()), (Kind::Module, vec!["dirs", "host_functions"]));
        if cfg!(feature = "components") {
            let component = declarations(
                r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance))
                (core module (import "arawn" "host_call" (func))) (import "f" (func)))"#,
            )?;
            assert_eq!(component.imports, ["wasi:http/outgoing-handler@0.2.0", "f"]);
            assert_eq!((component.kind, component.capabilities()), (Kind::Component, vec!["http"]));
        }
        assert_eq!(declarations("(module)")?.imports, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_file_that_is_cut_or_lies_about_its_sections_is_an_error_or_has_no_imports() {
        let long = wat::parse_str("(module (import \"a\" \"b\" (func)))").unwrap_or_default();
        assert!(long.len() > 9);
        for length in 0..long.len() {
            let cut = Declarations::of("a", &long[..length]);
            assert!(cut.is_err() || cut.is_ok_and(|cut| cut.imports.is_empty()), "{length}");
        }
        assert!(Declarations::of("a", &[0, b'a', b's', b'm', 1, 0, 0, 0, 2, 255, 255, 255, 255, 255]).is_err());
        assert!(Declarations::of("a", &[0, b'a', b's', b'm', 1, 0, 0, 0, 2, 255, 255, 255, 255, 15]).is_err());
    }

    /// 100,000 imports share a module name of 50,000 bytes, which a compact section writes once.
    #[test]
    fn no_more_imports_are_listed_than_there_is_room_for() -> Result<()> {
        let section = |module: &[u8], count: u32| {
            let mut section = Vec::new();
            leb(&mut section, 1);
            leb(&mut section, module.len() as u32);
            section.extend(module);
            section.extend([0, 0x7e, 0, 0]);
            leb(&mut section, count);
            section.resize(section.len() + count as usize, 0);
            let mut wasm = b"\0asm\x01\0\0\0\x02".to_vec();
            leb(&mut wasm, section.len() as u32);
            [wasm, section].concat()
        };
        let long = Declarations::of("a", &section(&[b'm'; 50_000], 100_000))?;
        assert_eq!(long.imports.len(), 5);
        let short = Declarations::of("a", &section(b"m", 100_000))?;
        assert_eq!((short.imports.len(), short.imports[999].as_str()), (MAX_IMPORTS, "m."));
        Ok(())
    }

    fn leb(bytes: &mut Vec<u8>, mut value: u32) {
        while value > 0x7f {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    }
}
