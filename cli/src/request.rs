//! What FILE holds: the pipeline's document, or a whole request with a pipeline in it.

use arawn::{Error, RequestLimits, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// A request as `arawn_execute_pipeline` takes it, without its `executor`, which the program makes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request<'a> {
    #[serde(borrow)]
    pub pipeline: &'a RawValue,
    #[serde(borrow, default)]
    pub context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub completed: BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(default)]
    pub limits: RequestLimits,
    #[serde(borrow, default)]
    pub job: Option<Cow<'a, str>>,
    #[serde(default)]
    pub meta: Option<bool>,
    #[serde(default)]
    pub dry_run: bool,
}

/// The request in `text`; `None` where the text is the document itself, or nothing that can be read.
pub fn request(text: &str) -> Result<Option<Request<'_>>> {
    let keys: HashMap<String, IgnoredAny> = serde_json::from_str(text).unwrap_or_default();
    if !keys.contains_key("pipeline") {
        return Ok(None);
    }
    let invalid = |path: &str, message: String| Err(Error::InvalidRequest { path: path.to_owned(), message });
    if keys.contains_key("executor") {
        return invalid(
            "executor",
            "must be left out: the program makes its own, with what its options grant".to_owned(),
        );
    }
    serde_json::from_str(text).map(Some).or_else(|error| invalid(".", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_pipeline_in_it() {
        let text = r#"{"context": {"n": 1.50}, "pipeline": {"steps": []}, "completed": {"a": [1 ]}, "limits": {"timeout_ms": 5}}"#;
        let Ok(Some(request)) = request(text) else { panic!("not read") };
        assert_eq!(request.pipeline.get(), r#"{"steps": []}"#);
        assert_eq!(request.context.map(RawValue::get), Some(r#"{"n": 1.50}"#));
        assert_eq!(request.completed.get("a").map(|output| output.get()), Some("[1 ]"));
        assert_eq!((request.limits.timeout_ms, request.meta, request.dry_run), (Some(5), None, false));
    }

    #[test]
    fn everything_else_is_left_to_the_library() {
        for text in [r#"{"steps": []}"#, "[]", "", "{", r#""pipeline""#] {
            assert!(matches!(request(text), Ok(None)), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_named_with_those_that_are() {
        let text = |text| request(text).err().map(|error| error.to_string()).unwrap_or_default();
        let answer = text(r#"{"pipeline": {}, "contxt": {}}"#);
        assert!(answer.contains("`contxt`") && answer.contains("`context`, `completed`, `limits`"), "{answer}");
        let answer = text(r#"{"pipeline": {}, "executor": "main"}"#);
        assert!(answer.starts_with("`executor` must be left out"), "{answer}");
        let answer = text(r#"{"pipeline": {}, "limits": {"timout_ms": 1}}"#);
        assert!(answer.contains("`timout_ms`") && answer.contains("`timeout_ms`"), "{answer}");
    }
}
