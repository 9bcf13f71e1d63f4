//! `transform`: picks values from the context, or fills in text from it.
//!
//! The config has one of
//! - `expression`: a path, whose value is the output;
//! - `template`: a text, in which `{{path}}` is replaced by the value there, for the output;
//! - `mappings`: an object whose values are paths or again such objects; the output has the values in the paths' places.
//!
//! A path that leads nowhere is an error that says how far it got; with `default` it has that value instead.
//!
//! Paths are [`arawn_sdk::Path`]s, `fetch.body.items.0`. They are no JSON Pointer, JMESPath or jq, although there are good
//! crates for these: a JSON Pointer that leads nowhere is `None`, and a JMESPath or jq expression is `null`, so that none
//! can say how far it got; none takes `items.0`; and they compute on parsed values, in which a number of 30 digits has
//! been rounded, where a value that is only picked must come out as it went in.

mod config;
mod template;

use std::borrow::Cow;

use arawn_sdk::{Context, Path};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

pub use config::{Config, Mapping};
use template::Part;

/// The output: a value of the context as it stands there, a text, or an object of such values.
#[derive(Debug)]
pub enum Output {
    /// As it stands in the context, or the default.
    Value(&'static RawValue),
    /// A template, filled in.
    Text(String),
    /// In the order of the mappings.
    Object(Vec<(String, Output)>),
}

/// The runtime.
pub fn transform(config: Config, context: Context) -> Result<Output, String> {
    let Config { expression, template, mappings, default } = config;
    let values = Values { context, default };
    match (expression, template, mappings) {
        (Some(expression), None, None) => {
            values.at(&expression).map(Output::Value).map_err(|e| format!("expression: {e}"))
        }
        (None, Some(template), None) => {
            values.filled_in(&template).map(Output::Text).map_err(|e| format!("template: {e}"))
        }
        (None, None, Some(mappings)) => values.mapped(&mappings, "mappings"),
        (None, None, None) => Err("config: one of `expression`, `template` and `mappings` is needed".to_owned()),
        _ => Err("config: only one of `expression`, `template` and `mappings` may be there".to_owned()),
    }
}

/// Where the values come from.
struct Values {
    context: Context,
    default: Option<&'static RawValue>,
}

impl Values {
    fn at(&self, path: &str) -> Result<&'static RawValue, String> {
        let path = Path::parse(path).map_err(|error| error.to_string())?;
        self.context.find(&path).or_else(|missing| self.default.ok_or_else(|| missing.to_string()))
    }

    fn filled_in(&self, template: &str) -> Result<String, String> {
        let mut text = String::with_capacity(template.len());
        for part in template::parts(template) {
            text += &match part? {
                Part::Text(text) => Cow::Borrowed(text),
                Part::Path(path) => {
                    arawn_sdk::text(self.at(path)?).map_err(|error| format!("the string at `{path}`: {error}"))?
                }
            };
        }
        Ok(text)
    }

    /// `place` is where in the config the mappings are.
    fn mapped(&self, mappings: &[(String, Mapping)], place: &str) -> Result<Output, String> {
        let values = mappings.iter().map(|(key, mapping)| {
            let place = format!("{place}.{key}");
            let value = match mapping {
                Mapping::Path(path) => self.at(path).map(Output::Value).map_err(|error| format!("{place}: {error}")),
                Mapping::Object(mappings) => self.mapped(mappings, &place),
            };
            Ok((key.clone(), value?))
        });
        values.collect::<Result<_, _>>().map(Output::Object)
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Output::Value(json) => json.serialize(serializer),
            Output::Text(text) => text.serialize(serializer),
            Output::Object(values) => {
                let mut map = serializer.serialize_map(Some(values.len()))?;
                for (key, value) in values {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests;
