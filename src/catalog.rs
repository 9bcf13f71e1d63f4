//! The catalog: the runtimes by name. The embedded runtimes are always there. A directory may add others.

mod change;
mod directory;
mod entry;
mod entry_module;
mod file_checks;
mod file_entry;
mod fixed_entries;
mod looks;
mod registration;
mod runtime_catalog;
mod schema;
mod script;
mod script_versions;
mod seen_file;
mod snapshot_keys;
mod writer;

pub use entry::{CatalogEntry, Category, RuntimeEntry};
pub use registration::{ModuleSource, Registration};
pub use runtime_catalog::RuntimeCatalog;
pub use script::Language;
pub use snapshot_keys::SnapshotMode;

pub(crate) use change::NewFile;
pub(crate) use entry::{Source, check_args, check_name, compile_schema, is_reserved};
pub(crate) use entry_module::EntryModule;
pub(crate) use file_checks::{check_pin, check_size, unavailable};
pub(crate) use looks::LOOKS;
pub(crate) use registration::registration_timeout;
pub(crate) use schema::unsupported as schema_unsupported;
pub(crate) use script::{ScriptArgs, ScriptFile, ScriptMode, ScriptText};
pub(crate) use script_versions::Version;
pub(crate) use seen_file::Content;
pub(crate) use snapshot_keys::{check_snapshot, default_snapshot, warm_up_input};
