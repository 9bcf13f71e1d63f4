//! The catalog: the runtimes by name. The embedded runtimes are always there. A directory may add others.

mod change;
mod directory;
mod entry;
mod registration;
mod runtime_catalog;
mod schema;
mod writer;

pub use entry::{CatalogEntry, Category, RuntimeEntry};
pub use registration::{ModuleSource, Registration};
pub use runtime_catalog::RuntimeCatalog;

pub(crate) use change::NewModule;
pub(crate) use entry::{Source, check_args, check_name, compile_schema, is_embedded};
pub(crate) use registration::registration_timeout;
pub(crate) use schema::unsupported as schema_unsupported;
