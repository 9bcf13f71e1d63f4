//! Scripts: runtimes whose file is the text of a program, which an embedded interpreter runs.

use super::entry_module::EntryModule;
use crate::builtins::{BUILTINS, Builtin};
use crate::error::{Error, Result};
use crate::files::ConfinedPath;
use crate::memory;
use crate::sha256::Sha256;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// A language of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// JavaScript: one ES module, whose default export is called.
    Javascript,
    /// Lua 5.4: a chunk that returns the function to call.
    Lua,
}

impl Language {
    pub(super) const ALL: [Language; 2] = [Language::Javascript, Language::Lua];

    /// The language's name, which is also the name of its interpreter.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Javascript => "javascript",
            Language::Lua => "lua",
        }
    }

    /// The end of the names of files that a catalog makes.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Language::Javascript => "js",
            Language::Lua => "lua",
        }
    }

    /// The language that a file's name tells: `.js` and `.mjs` are JavaScript, `.lua` is Lua.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "js" | "mjs" => Some(Language::Javascript),
            "lua" => Some(Language::Lua),
            _ => None,
        }
    }

    /// The interpreter; an error in a build without scripts.
    pub(crate) fn interpreter(self) -> Result<&'static Builtin> {
        let interpreter = BUILTINS.iter().find(|builtin| builtin.name == self.as_str());
        interpreter.ok_or_else(|| Error::Unsupported {
            message: format!("this build has no interpreter for {}: it was made without `scripts`", self.as_str()),
        })
    }
}

/// The file of a catalog's script.
#[derive(Clone, Debug)]
pub(crate) struct ScriptFile {
    pub path: ConfinedPath,
    pub language: Language,
    /// The interpreter and the hash of its module; `None` in a build without scripts.
    interpreter: Option<(&'static Builtin, Sha256)>,
}

/// The text of a script in the form in which its interpreter gets it.
#[derive(Debug)]
pub(crate) struct ScriptText {
    pub sha: Sha256,
    /// The file's name in messages, with a NUL behind it.
    pub file: Bytes,
    /// The text, with a NUL behind it.
    pub text: Bytes,
}

/// What the interpreter does with a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScriptMode {
    /// Runs it with the input on stdin.
    Run,
    /// Parses it, and runs nothing of it.
    Check,
}

/// The script of one guest: the arguments that the interpreter gets before those of the entry.
#[derive(Clone, Debug)]
pub(crate) struct ScriptArgs {
    pub mode: ScriptMode,
    pub text: Arc<ScriptText>,
}

/// The most bytes of a script. An interpreter holds the text several times in the memory of its guest, 64 MiB by
/// default.
const MOST_BYTES: usize = 8 << 20;

impl ScriptText {
    /// Takes the content of a script's file, or says why it is not the text of a script. `file` is its name in messages.
    pub fn new(runtime: &str, file: &str, content: &[u8]) -> Result<Self> {
        let invalid = |at: Option<usize>, message: String| {
            let (line, column) = at.map(|offset| position(content, offset)).unzip();
            Error::ScriptInvalid { runtime: runtime.to_owned(), file: file.to_owned(), line, column, message }
        };
        if content.len() > MOST_BYTES {
            let message = format!("it has {} bytes, more than the {MOST_BYTES} that a script may have", content.len());
            return Err(invalid(None, message));
        }
        let text = simdutf8::compat::from_utf8(content).map_err(|error| {
            invalid(Some(error.valid_up_to()), "it is not UTF-8: no valid character begins here".to_owned())
        })?;
        if let Some(offset) = text.find('\0') {
            return Err(invalid(Some(offset), "it has a NUL (U+0000) here: write it as an escape".to_owned()));
        }
        // Editors empty a file before they write it. Lua would take that for a script that does nothing.
        if text.trim().is_empty() {
            return Err(invalid(None, "it is empty".to_owned()));
        }
        let c_string = |text: &str| {
            let bytes = memory::concat(&[text.as_bytes(), b"\0"]);
            bytes.map(Bytes::from).map_err(|_| Error::no_memory("a script"))
        };
        // Some editors begin a file with a byte order mark, which no interpreter takes.
        let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(ScriptText { sha: Sha256::of(content), file: c_string(file)?, text: c_string(plain)? })
    }

    /// The file's name in messages.
    pub fn file_name(&self) -> &str {
        str::from_utf8(self.file.strip_suffix(b"\0").unwrap_or_default()).unwrap_or_default()
    }
}

impl ScriptArgs {
    /// The arguments, each with its NUL.
    pub fn as_strings(&self) -> [Bytes; 3] {
        let mode: &[u8] = match self.mode {
            ScriptMode::Run => b"run\0",
            ScriptMode::Check => b"check\0",
        };
        [Bytes::from_static(mode), self.text.file.clone(), self.text.text.clone()]
    }
}

impl ScriptFile {
    pub fn new(path: ConfinedPath, language: Language) -> Self {
        let interpreter = language.interpreter().ok().and_then(|builtin| Some((builtin, builtin.sha256().ok()?)));
        ScriptFile { path, language, interpreter }
    }

    /// The interpreter's module; an error in a build without scripts.
    pub fn module(&self) -> Result<EntryModule<'static>> {
        match self.interpreter {
            Some((builtin, sha)) => Ok(EntryModule::Embedded(builtin, sha)),
            None => {
                let builtin = self.language.interpreter()?;
                builtin.sha256().map(|sha| EntryModule::Embedded(builtin, sha))
            }
        }
    }

    /// The name of the file in messages: that of the file, but the runtime's for a file that a registration has named,
    /// `<runtime>-<16 digits of its hash>.js`.
    pub fn shown_name(&self, runtime: &str) -> String {
        let name = self.path.relative().file_name().unwrap_or_default().to_string_lossy();
        let extension = self.language.extension();
        let stem = name.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.'));
        let digits = stem.and_then(|stem| stem.strip_prefix(runtime)?.strip_prefix('-'));
        match digits {
            Some(digits) if digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                format!("{runtime}.{extension}")
            }
            _ => name.into_owned(),
        }
    }
}

/// The line and the column of a byte in a text, both from 1. A column counts characters.
fn position(content: &[u8], offset: usize) -> (u32, u32) {
    let before = &content[..offset.min(content.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (narrow(line), narrow(column))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_refused_with_the_place() {
        let place = |content: &[u8]| match ScriptText::new("greet", "greet.js", content) {
            Err(Error::ScriptInvalid { line, column, .. }) => (line, column),
            other => panic!("{other:?}"),
        };
        assert_eq!(place(b"a\nb\xffc"), (Some(2), Some(2)));
        assert_eq!(place("a\n\u{e9}\u{e9}\0".as_bytes()), (Some(2), Some(3)));
        assert_eq!(place(&vec![b'a'; MOST_BYTES + 1]), (None, None));
        assert_eq!(place(b" \n"), (None, None));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let text = ScriptText::new("greet", "greet.lua", b"\xef\xbb\xbfreturn 1").unwrap();
        assert_eq!((text.text.as_ref(), text.file_name()), (&b"return 1\0"[..], "greet.lua"));
    }

    #[test]
    fn a_file_that_a_registration_has_named_is_shown_by_the_name_of_its_runtime() {
        let shown = |path: &str, language| {
            let path = ConfinedPath::new(Path::new("/catalog"), Path::new(path));
            ScriptFile::new(path, language).shown_name("greet")
        };
        assert_eq!(shown("custom/greet-0123456789abcdef.js", Language::Javascript), "greet.js");
        assert_eq!(shown("custom/greet-0123456789abcdef.lua", Language::Lua), "greet.lua");
        assert_eq!(shown("custom/greet-1.js", Language::Javascript), "greet-1.js");
        assert_eq!(shown("scripts/hello.mjs", Language::Javascript), "hello.mjs");
    }
}
