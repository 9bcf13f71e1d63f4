//! When the calls of an executor learn that files of its catalog have changed on disk.

use serde::de::{EnumAccess, Error, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// When the calls of an executor learn that `catalog.toml` or the file of a runtime has changed on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// Each call looks at both files, so that it sees every change that was made before it began.
    #[default]
    Always,
    /// Never. The catalog is the one that the executor was made with, and the module of a runtime is the one that the
    /// executor has loaded first. Registrations and removals by this process are seen at once.
    Never,
    /// A call sees every change that was made so many milliseconds before it began, or earlier; from 1 to a day. A
    /// thread of the library looks at the files while there are calls.
    WithinMs(u64),
}

/// The forms of the value, as error messages list them.
const FORMS: &[&str] = &["always", "never", r#"{"within_ms": 20}"#];

impl<'de> Deserialize<'de> for Reload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Reload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("always, never or an object with within_ms")
            }
            fn visit_enum<A: EnumAccess<'de>>(self, written: A) -> Result<Reload, A::Error> {
                let (form, content) = written.variant::<String>()?;
                match &*form {
                    "always" => content.unit_variant().map(|()| Reload::Always),
                    "never" => content.unit_variant().map(|()| Reload::Never),
                    "within_ms" => content.newtype_variant().map(Reload::WithinMs),
                    _ => Err(A::Error::unknown_variant(&form, FORMS)),
                }
            }
        }
        deserializer.deserialize_enum("Reload", FORMS, Forms)
    }
}
