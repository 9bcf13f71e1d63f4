//! The file of a registration: read from where the request has it, and taken for a module or a script.

use crate::catalog::{Language, ModuleSource, NewFile, ScriptFile, ScriptText, Source, check_pin, check_size};
use crate::error::{Error, Result};
use crate::executor::script_executor::ScriptExecutor;
use crate::files::{ConfinedPath, RegularFile};
use crate::module_cache::{self, Supply};
use crate::sha256::Sha256;
use bytes::Bytes;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The file of a registration.
pub(super) struct Supplied {
    pub sha: Sha256,
    pub bytes: u64,
    pub content: Content,
    /// What the catalog gets as the file of the new entry.
    pub file: NewFile,
}

/// What the file is.
pub(super) enum Content {
    Module {
        /// Where a load finds the bytes.
        supply: Supply,
        /// Holds the bytes to which `supply` has a weak reference.
        _lent: Option<Arc<Bytes>>,
    },
    Script(ScriptFile, Arc<ScriptText>),
}

impl Content {
    pub fn language(&self) -> Option<Language> {
        match self {
            Content::Module { .. } => None,
            Content::Script(script, _) => Some(script.language),
        }
    }
}

impl ScriptExecutor {
    pub(super) fn supply(&self, name: &str, module: ModuleSource, language: Option<Language>) -> Result<Supplied> {
        let most = self.limits.module_bytes;
        let (bytes, language) = match module {
            ModuleSource::Bytes(bytes) => (Bytes::from(bytes), language),
            ModuleSource::Script(text, language) => (Bytes::from(text), Some(language)),
            ModuleSource::Path(path) => {
                let unavailable = |error: io::Error| {
                    let exhausted = Error::exhausted("to read a file", &error);
                    exhausted.unwrap_or_else(|| Error::NotRegistered {
                        runtime: name.to_owned(),
                        path: path.display().to_string(),
                        reason: match error.kind() {
                            io::ErrorKind::NotFound => "no such file".to_owned(),
                            _ => error.to_string(),
                        },
                    })
                };
                let mut file = RegularFile::open(&path).map_err(unavailable)?;
                check_size(name, file.identity.size, most)?;
                let bytes = Bytes::from(file.read_all().map_err(unavailable)?);
                (bytes, language.or_else(|| Language::of_path(&path)))
            }
            ModuleSource::Of(other) => return self.supply_of(name, &other),
        };
        check_size(name, bytes.len() as u64, most)?;
        match language {
            Some(language) => new_script(name, language, &bytes, NewFile::Bytes(bytes.clone())),
            None => Ok(new_module(bytes)),
        }
    }

    /// The file of another runtime of the catalog, which both then share unless the other one is embedded.
    fn supply_of(&self, name: &str, other: &str) -> Result<Supplied> {
        let most = self.limits.module_bytes;
        let entry = self.catalog.resolve(other)?;
        match &entry.source {
            Source::Embedded(builtin) => Ok(new_module(Bytes::from_static(builtin.wasm))),
            Source::File(path) => {
                let hashed = module_cache::cache().hashed(other, path, most, self.records()?)?;
                check_pin(other, entry.sha256, hashed.sha)?;
                let identity = hashed.file.identity;
                let content = Content::Module { supply: Supply::File(path.clone(), identity), _lent: None };
                let file = NewFile::Shared(path.clone(), identity);
                Ok(Supplied { sha: hashed.sha, bytes: identity.size, content, file })
            }
            Source::Script(script) => {
                let unavailable = |error: io::Error| crate::catalog::unavailable(other, &script.path, &error);
                let mut file = script.path.open().map_err(unavailable)?;
                check_size(other, file.identity.size, most)?;
                let bytes = file.read_all().map_err(unavailable)?;
                check_pin(other, entry.sha256, Sha256::of(&bytes))?;
                new_script(name, script.language, &bytes, NewFile::Shared(script.path.clone(), file.identity))
            }
        }
    }
}

/// A module that gets a file of its own.
fn new_module(bytes: Bytes) -> Supplied {
    let sha = Sha256::of(&bytes);
    let lent = Arc::new(bytes.clone());
    let content = Content::Module { supply: Supply::Lent(sha, Arc::downgrade(&lent)), _lent: Some(lent) };
    Supplied { sha, bytes: bytes.len() as u64, content, file: NewFile::Bytes(bytes) }
}

/// A script that the catalog does not have yet. In messages it has the runtime's name.
fn new_script(name: &str, language: Language, content: &[u8], file: NewFile) -> Result<Supplied> {
    let file_name = format!("{name}.{}", language.extension());
    let text = ScriptText::new(name, &file_name, content)?;
    let (sha, bytes) = (text.sha, content.len() as u64);
    let script = ScriptFile::new(ConfinedPath::new(Path::new(""), Path::new(&file_name)), language);
    Ok(Supplied { sha, bytes, content: Content::Script(script, Arc::new(text)), file })
}
