//! The requests that run a pipeline: `arawn_execute_pipeline`, and `arawn_submit` with `pipeline`.

use crate::config::RequestLimits;
use crate::json::{RawJson, object, objects};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// The argument of `arawn_execute_pipeline`, and of `arawn_submit` for a pipeline.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineRequest<'a> {
    #[serde(borrow)]
    pub executor: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "object")]
    pub pipeline: PipelineDocument<'a>,
    #[serde(borrow, default)]
    pub context: RawJson<'a>,
    /// The outputs of steps that are not to run, by their names.
    #[serde(borrow, default, deserialize_with = "outputs")]
    pub completed: Vec<(Cow<'a, str>, RawJson<'a>)>,
    #[serde(default, deserialize_with = "object")]
    pub limits: RequestLimits,
    #[serde(borrow, default)]
    pub job: Option<Cow<'a, str>>,
    #[serde(default)]
    pub meta: bool,
    #[serde(default)]
    pub dry_run: bool,
}

/// `{"steps": […], "output": "save"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineDocument<'a> {
    #[serde(borrow, deserialize_with = "objects")]
    pub steps: Vec<StepDocument<'a>>,
    #[serde(borrow, default)]
    pub output: Option<Cow<'a, str>>,
}

/// One step, as the document has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDocument<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub runtime: Cow<'a, str>,
    #[serde(borrow, default)]
    pub config: RawJson<'a>,
    /// `null` would be read as `[]` by some, and as left out by others.
    #[serde(borrow, default, deserialize_with = "some")]
    pub needs: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    pub for_each: Option<Cow<'a, str>>,
    #[serde(default)]
    pub first_index: Option<u64>,
    #[serde(default, deserialize_with = "some_object")]
    pub retry: Option<Retry>,
    #[serde(default, deserialize_with = "object")]
    pub limits: RequestLimits,
}

/// How often a step is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most tries, the first one counted.
    pub attempts: u32,
    /// The milliseconds between the end of a try and the next one.
    #[serde(default)]
    pub delay_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { attempts: 1, delay_ms: 0 }
    }
}

/// Reads an object whose keys are names of steps.
fn outputs<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Cow<'a, str>, RawJson<'a>)>, D::Error> {
    struct Outputs;
    impl<'de> Visitor<'de> for Outputs {
        type Value = Vec<(Cow<'de, str>, RawJson<'de>)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut outputs = Vec::new();
            while let Some(output) = map.next_entry()? {
                outputs.push(output);
            }
            Ok(outputs)
        }
    }
    deserializer.deserialize_map(Outputs)
}

fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn some_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}
