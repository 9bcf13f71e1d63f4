//! An entry: what `catalog.toml` says about a runtime, and the checks that it passes before it is served.

use super::entry_module::EntryModule;
use super::looks::{Freshness, Looked, nanoseconds, watch};
use super::schema::{self, ConfigSchema, StepBudget};
use super::script::{Language, ScriptFile};
use super::seen_file::{Content, SeenFile};
use super::snapshot_keys::{SnapshotMode, check_snapshot, default_snapshot, warm_up_input};
use crate::builtins::{BUILTINS, Builtin};
use crate::config::{Reload, validate_env};
use crate::deadline::Deadline;
use crate::error::{Error, Failure, Result};
use crate::fair::Tenant;
use crate::files::{ConfinedPath, Identity};
use crate::json::{self, RawJson, words};
use crate::sha256::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// A runtime as the catalog describes it.
#[derive(Clone, Debug)]
pub struct RuntimeEntry {
    /// Matches `[a-z0-9][a-z0-9._-]{0,63}`.
    pub name: String,
    /// Whether the runtime came with the library or an installation, or was added to the catalog.
    pub category: Category,
    /// What the runtime does, for a person.
    pub description: String,
    pub(crate) source: Source,
    pub(crate) sha256: Option<Sha256>,
    /// `argv` after the name.
    pub args: Vec<String>,
    /// The environment variables of its guests. A variable that the executor grants replaces one of the same name.
    pub env: BTreeMap<String, String>,
    pub(crate) config_schema: Option<Arc<ConfigSchema>>,
    pub(crate) seen: SeenFile,
    /// Whether calls begin from a snapshot of the initialised runtime.
    pub snapshot: SnapshotMode,
    /// A request, in JSON, that runs once before the snapshot is made.
    pub warm_up: Option<String>,
    /// Whether the runtime may take random bytes before the snapshot, which all its calls then share.
    pub shared_random: bool,
    /// See [`RuntimeEntry::initialisation`].
    initialisation: OnceLock<Sha256>,
}

/// Where a runtime comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Embedded in the library, or shipped with an installation.
    Builtin,
    /// Added to a catalog.
    #[default]
    Custom,
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Embedded(&'static Builtin),
    File(ConfinedPath),
    Script(ScriptFile),
}

/// An entry of `catalog.toml`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// The `.wasm` file, relative to the catalog's directory and inside it. An entry has this or `script`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The script's file, relative to the catalog's directory and inside it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub script: String,
    /// The script's language, if the name of its file does not tell it: `.js` and `.mjs` are JavaScript, `.lua` is Lua.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// See [`RuntimeEntry::category`].
    #[serde(default)]
    pub category: Category,
    /// See [`RuntimeEntry::description`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The SHA-256 that the file must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// `argv` after the runtime's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// See [`RuntimeEntry::env`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The JSON Schema of the runtime's config, or its text.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "schema::write")]
    pub config_schema: Option<Value>,
    /// See [`RuntimeEntry::snapshot`]. If it is left out: `init` for a script, `off` for a module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotMode>,
    /// See [`RuntimeEntry::warm_up`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<String>,
    /// See [`RuntimeEntry::shared_random`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_random: bool,
}

impl CatalogEntry {
    /// Reads a table of `catalog.toml`, or says what is wrong with it.
    pub(super) fn read(table: toml::Value) -> Result<Self, String> {
        json::object(table.clone()).map_err(|error: toml::de::Error| {
            // The table is read once more as JSON, because the reader of JSON tells mistakes in plain words.
            let json = as_json(&table).to_string();
            let mistake = words::find_mistake::<CatalogEntry>(&json).map(|mistake| mistake.to_string());
            mistake.map_or_else(|| error.message().to_owned(), |text| text.replace("an object", "a table"))
        })
    }

    /// Checks the entry and makes it ready to be served from `directory`, or says why it is refused.
    pub(super) fn checked(self, name: &str, directory: &Path, steps: &mut StepBudget) -> Result<RuntimeEntry, String> {
        check_name(name)?;
        if is_reserved(name) {
            return Err("the name belongs to a built-in runtime".to_owned());
        }
        let source = self.source(directory)?;
        check_args(&self.args)?;
        validate_env(&self.env)?;
        let sha256 = match &self.sha256 {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| "`sha256` is not 64 hexadecimal digits")?),
        };
        let config_schema = match self.config_schema {
            None => None,
            Some(written) => Some(compile_within(written, steps).map_err(|Failure { path, message }| {
                format!("`config_schema` is not a JSON Schema: {message} (at `config_schema{path}`)")
            })?),
        };
        let snapshot = self.snapshot.unwrap_or(default_snapshot(matches!(source, Source::Script(_))));
        let warm_up = self.warm_up.as_deref().map(warm_up_input).transpose()?;
        check_snapshot(snapshot, warm_up.is_some(), self.shared_random)?;
        Ok(RuntimeEntry {
            name: name.to_owned(),
            category: self.category,
            description: self.description,
            snapshot,
            warm_up,
            shared_random: self.shared_random,
            initialisation: OnceLock::new(),
            source,
            sha256,
            args: self.args,
            env: self.env,
            config_schema,
            seen: SeenFile::default(),
        })
    }

    fn source(&self, directory: &Path) -> Result<Source, String> {
        let (key, file) = match (&*self.path, &*self.script) {
            ("", "") => {
                return Err("the entry needs `path` (a `.wasm` file) or `script` (the file of a script)".to_owned());
            }
            (path, "") => ("path", path),
            ("", script) => ("script", script),
            _ => return Err("the entry has both `path` and `script`, but can have only one of them".to_owned()),
        };
        let path = Path::new(file);
        if !path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("the {key} `{file}` must be relative to the catalog's directory, and inside it"));
        }
        if path.file_name().is_none() || file.contains('\0') {
            return Err(format!("the {key} does not name a file"));
        }
        let confined = ConfinedPath::new(directory, path);
        if key == "path" {
            return match self.language {
                None => Ok(Source::File(confined)),
                Some(_) => Err("`language` is for a `script`, but the entry has `path`".to_owned()),
            };
        }
        let language = self.language.or_else(|| Language::of_path(path)).ok_or_else(|| {
            format!(
                "the name of the script `{file}` does not tell its language: add `language`, \"javascript\" or \"lua\""
            )
        })?;
        Ok(Source::Script(ScriptFile::new(confined, language)))
    }
}

impl RuntimeEntry {
    pub(super) fn embedded(builtin: &'static Builtin) -> Self {
        RuntimeEntry {
            name: builtin.name.to_owned(),
            category: Category::Builtin,
            description: builtin.description.to_owned(),
            source: Source::Embedded(builtin),
            sha256: builtin.sha256().ok(),
            args: Vec::new(),
            env: BTreeMap::new(),
            config_schema: None,
            seen: SeenFile::default(),
            snapshot: default_snapshot(builtin.yields),
            warm_up: None,
            shared_random: false,
            initialisation: OnceLock::new(),
        }
    }

    /// What is known of the file without a look at it, for a call that began at `begun`.
    pub(crate) fn known(&self, reload: Reload, begun: Instant) -> Option<Content> {
        match reload {
            Reload::Always => None,
            Reload::Never => self.seen.fixed(),
            Reload::WithinMs(ms) => self.seen.within(begun, nanoseconds(ms)),
        }
    }

    /// Notes what a call has found by a look at the file. `begun` is an instant before the look.
    pub(crate) fn note_look(self: &Arc<Self>, reload: Reload, begun: Instant, identity: Identity, content: Content) {
        if let Reload::WithinMs(ms) = reload {
            self.seen.note(begun, identity, content);
            watch(self, nanoseconds(ms));
        }
    }

    /// The hash of everything in the entry that the runtime's initialisation sees, beside its module and its script.
    pub(crate) fn initialisation(&self) -> Sha256 {
        *self.initialisation.get_or_init(|| {
            let script = self.script().map(|script| script.shown_name(&self.name));
            let seen = json!([self.name, script, self.args, self.env, self.warm_up, self.shared_random]);
            Sha256::of(seen.to_string().as_bytes())
        })
    }

    /// The SHA-256 that the runtime's file must have, in hexadecimal. For an embedded runtime, its own SHA-256.
    pub fn sha256(&self) -> Option<String> {
        self.sha256.map(|sum| sum.to_string())
    }

    /// The path of the runtime's file; `None` for an embedded runtime.
    pub fn path(&self) -> Option<&Path> {
        self.contained().map(ConfinedPath::full)
    }

    pub(crate) fn contained(&self) -> Option<&ConfinedPath> {
        match &self.source {
            Source::Embedded(_) => None,
            Source::File(contained) => Some(contained),
            Source::Script(script) => Some(&script.path),
        }
    }

    /// The script's file, if the runtime is a script.
    pub(crate) fn script(&self) -> Option<&ScriptFile> {
        match &self.source {
            Source::Script(script) => Some(script),
            Source::Embedded(_) | Source::File(_) => None,
        }
    }

    /// The language, if the runtime is a script.
    pub fn language(&self) -> Option<Language> {
        self.script().map(|script| script.language)
    }

    /// The module that the runtime's guests run.
    pub(crate) fn module(&self) -> Result<EntryModule<'_>> {
        match (&self.source, self.sha256) {
            (Source::File(path), _) => Ok(EntryModule::File(path)),
            (Source::Embedded(builtin), Some(sha)) => Ok(EntryModule::Embedded(builtin, sha)),
            (Source::Embedded(builtin), None) => builtin.sha256().map(|sha| EntryModule::Embedded(builtin, sha)),
            (Source::Script(script), _) => script.module(),
        }
    }

    /// The SHA-256 that the file of the module must have. The pin of a script is that of its text.
    pub(crate) fn module_pin(&self) -> Option<Sha256> {
        match self.source {
            Source::Script(_) => None,
            Source::Embedded(_) | Source::File(_) => self.sha256,
        }
    }

    /// The JSON Schema that a config must fit; `None` if the runtime takes every config.
    pub fn config_schema(&self) -> Option<&Value> {
        self.config_schema.as_ref().map(|schema| schema.json())
    }

    /// Refuses a config that does not fit the schema, if the runtime has a schema.
    pub(crate) async fn check_config(&self, tenant: Tenant, config: RawJson<'_>, deadline: &Deadline) -> Result<()> {
        match &self.config_schema {
            Some(schema) => schema.check(tenant, &self.name, config.get(), deadline).await,
            None => Ok(()),
        }
    }
}

impl Looked for RuntimeEntry {
    fn freshness(&self) -> &Freshness {
        &self.seen.freshness
    }

    fn look(&self) {
        self.seen.look(|| self.contained().and_then(|path| path.identity().ok()));
    }
}

/// A value of TOML as JSON. No key of an entry takes a date or a float, so 0 stands for both: JSON has no date, and no
/// infinite number.
fn as_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Boolean(value) => json!(value),
        toml::Value::Float(_) | toml::Value::Datetime(_) => json!(0),
        toml::Value::Array(values) => values.iter().map(as_json).collect(),
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), as_json(value))).collect(),
    }
}

/// Rewords the reader's message about the whole of `catalog.toml`.
pub(super) fn document_words(message: &str) -> String {
    match message.strip_prefix("unknown field ") {
        Some(rest) => rest.replacen(", expected", " is an unknown key; known keys:", 1),
        None if message.starts_with("invalid type") => "`runtimes` must be a table of tables".to_owned(),
        None => message.to_owned(),
    }
}

/// Whether the name belongs to an embedded runtime, so that no entry may have it.
pub(crate) fn is_reserved(name: &str) -> bool {
    BUILTINS.iter().any(|builtin| builtin.name == name && !builtin.yields)
}

/// Compiles the schema of one entry. `invalid` makes the error of a value that is no schema. The path of a failure is the path
/// inside the schema.
pub(crate) fn compile_schema(written: Value, invalid: impl FnOnce(Failure) -> Error) -> Result<Arc<ConfigSchema>> {
    let mut steps = StepBudget::of_an_entry();
    compile_within(written, &mut steps).map_err(|failure| steps.refused.take().unwrap_or_else(|| invalid(failure)))
}

/// Compiles the schema of one entry with the steps that are left for all entries of a catalog.
fn compile_within(written: Value, steps: &mut StepBudget) -> Result<Arc<ConfigSchema>, Failure> {
    ConfigSchema::compile(schema::read(written)?, steps)
}

/// Checks that a name matches `[a-z0-9][a-z0-9._-]{0,63}`.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let is_name = bytes.first().is_some_and(plain)
        && bytes.len() <= 64
        && bytes.iter().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
    if is_name { Ok(()) } else { Err("the name does not match [a-z0-9][a-z0-9._-]{0,63}".to_owned()) }
}

/// Refuses arguments with a NUL, because WASI ends each argument with a NUL.
pub(crate) fn check_args(args: &[String]) -> Result<(), String> {
    match args.iter().find(|arg| arg.contains('\0')) {
        Some(arg) => Err(format!("the argument {arg:?} contains a NUL")),
        None => Ok(()),
    }
}
