//! What is to be written or sent: given in the config, or picked from the context.

use arawn_sdk::{Context, Path};
use serde_json::value::RawValue;

use crate::Encoding;

/// The config's `name`, or what its `name_key` leads to in the context; both are an error.
pub fn given(
    name: &str,
    value: Option<&'static RawValue>,
    key: Option<&str>,
    context: &Context,
) -> Result<Option<&'static RawValue>, String> {
    match (value, key) {
        (Some(_), Some(_)) => Err(format!("config: only one of `{name}` and `{name}_key` may be there")),
        (value, None) => Ok(value),
        (None, Some(key)) => {
            let path = Path::parse(key).map_err(|error| format!("{name}_key: {error}"))?;
            context.find(&path).map(Some).map_err(|missing| format!("{name}_key: {missing}"))
        }
    }
}

/// The bytes that a value stands for: of a string what `encoding` says, of anything else its JSON.
pub fn bytes(json: &'static RawValue, encoding: Encoding) -> Result<Vec<u8>, String> {
    if encoding != Encoding::Utf8 && !json.get().starts_with('"') {
        return Err("not base64: it is no string".to_owned());
    }
    encoding.decode(arawn_sdk::text(json)?)
}
