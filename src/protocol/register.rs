//! The requests that add a runtime: `arawn_catalog_register`, and `arawn_submit` with `register`.

use super::base64;
use super::parse::{ensure_memory, mistake, parse_request};
use super::pipeline::PipelineRequest;
use super::request::ExecuteRequest;
use crate::catalog::{Language, ModuleSource, Registration, SnapshotMode, registration_timeout};
use crate::error::{Error, Result};
use crate::json::{self, RawJson, object, object_from_str, unique, words};
use crate::memory;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A request that has the members of a registration, after its own members.
macro_rules! registration_request {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name<'a> {
            $($own)*
            name: String,
            #[serde(default)]
            path: Option<PathBuf>,
            #[serde(borrow, default)]
            wasm_base64: Option<Cow<'a, str>>,
            #[serde(default)]
            module_of: Option<String>,
            #[serde(borrow, default)]
            script: Option<Cow<'a, str>>,
            #[serde(default)]
            language: Option<Language>,
            #[serde(default)]
            description: String,
            #[serde(borrow, default)]
            config_schema: Option<RawJson<'a>>,
            #[serde(default)]
            args: Vec<String>,
            #[serde(default)]
            env: BTreeMap<String, String>,
            #[serde(default)]
            snapshot: Option<SnapshotMode>,
            #[serde(default)]
            warm_up: Option<String>,
            #[serde(default)]
            shared_random: bool,
            #[serde(default)]
            replace: bool,
            #[serde(default)]
            timeout_ms: Option<u64>,
        }

        impl<'a> $name<'a> {
            /// Checks what can be checked without reading the module or the schema. `at` is the JSON path of the
            /// registration in the request.
            fn draft_at(self, at: &str) -> Result<Draft<'a>> {
                let invalid = |path: &str, message| Error::InvalidRequest { path: words::join(at, path), message };
                let timeout_ms =
                    registration_timeout(self.timeout_ms).map_err(|message| invalid("timeout_ms", message))?;
                let module = match (self.path, self.wasm_base64, self.module_of, self.script, self.language) {
                    (Some(path), None, None, None, language) => DraftModule::Path(path, language),
                    (None, Some(text), None, None, None) => DraftModule::Base64(text),
                    (None, None, Some(name), None, None) => DraftModule::Of(name),
                    (None, None, None, Some(text), Some(language)) => DraftModule::Script(text, language),
                    (None, None, None, Some(_), None) => {
                        let message = "must be \"javascript\" or \"lua\": the language of `script`";
                        return Err(invalid("language", message.to_owned()));
                    }
                    (None, Some(_), None, None, Some(_)) | (None, None, Some(_), None, Some(_)) => {
                        let message = "must be left out without `script` or `path`: a module has no language";
                        return Err(invalid("language", message.to_owned()));
                    }
                    _ => {
                        let message =
                            "must have exactly one of `path`, `wasm_base64`, `module_of` and `script`";
                        let path = if at.is_empty() { "." } else { at };
                        return Err(Error::InvalidRequest { path: path.to_owned(), message: message.to_owned() });
                    }
                };
                let config_schema = self.config_schema.map(|schema| Cow::Borrowed(schema.get()));
                let $name { name, description, args, env, snapshot, warm_up, shared_random, replace, .. } = self;
                let snapshot = (snapshot, warm_up, shared_random);
                Ok(Draft { name, module, description, config_schema, args, env, snapshot, replace, timeout_ms })
            }
        }
    };
}

registration_request! {
    /// The argument of `arawn_catalog_register`.
    RegisterRequest {
        #[serde(borrow)]
        pub executor: Cow<'a, str>,
    }
}

registration_request! {
    /// The value of `register`, whose executor is named beside it.
    Register {}
}

/// The argument of `arawn_submit` for a registration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitRegisterRequest<'a> {
    #[serde(borrow)]
    pub executor: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "object")]
    register: Register<'a>,
    #[serde(borrow, default)]
    pub job: Option<Cow<'a, str>>,
}

/// The argument of `arawn_submit`.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a call is what is common, and takes no allocation")]
pub enum SubmitRequest<'a> {
    Call(ExecuteRequest<'a>),
    Register(Box<SubmitRegisterRequest<'a>>),
    Pipeline(Box<PipelineRequest<'a>>),
}

/// A registration whose module and schema are still text of the request, not decoded.
#[derive(Debug)]
pub struct Draft<'a> {
    pub name: String,
    pub timeout_ms: u64,
    module: DraftModule<'a>,
    description: String,
    config_schema: Option<Cow<'a, str>>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    /// `snapshot`, `warm_up` and `shared_random`.
    snapshot: (Option<SnapshotMode>, Option<String>, bool),
    replace: bool,
}

#[derive(Debug)]
enum DraftModule<'a> {
    Path(PathBuf, Option<Language>),
    Base64(Cow<'a, str>),
    Of(String),
    Script(Cow<'a, str>, Language),
}

impl<'a> RegisterRequest<'a> {
    pub fn draft(self) -> Result<Draft<'a>> {
        self.draft_at("")
    }
}

impl<'a> SubmitRegisterRequest<'a> {
    pub fn draft(self) -> Result<Draft<'a>> {
        self.register.draft_at("register")
    }
}

/// Parses a request that the fast path of [`parse_submit`] has not taken: a registration, a pipeline, or a request with a
/// mistake.
#[cold]
pub(super) fn submit_request(json: &str) -> Result<SubmitRequest<'_>> {
    let mistyped = |path, message| Error::InvalidRequest { path, message };
    // If the text is not an object, `keys` is empty, and parsing it as a call reports the mistake.
    let keys: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_str(json).unwrap_or_default();
    if keys.contains_key("pipeline") {
        if let Some(key) = ["runtime", "input", "register"].into_iter().find(|key| keys.contains_key(*key)) {
            let message = "must not stand beside `pipeline`: a job is one of a call, a registration and a pipeline";
            return Err(mistyped(key.to_owned(), message.to_owned()));
        }
        return parse_request(json).map(|pipeline| SubmitRequest::Pipeline(Box::new(pipeline)));
    }
    if !keys.contains_key("register") {
        let call = object_from_str(json).map_err(|error| mistake::<ExecuteRequest<'_>>(json, error, mistyped));
        return call.map(SubmitRequest::Call);
    }
    if let Some(key) = ["runtime", "input", "limits", "meta"].into_iter().find(|key| keys.contains_key(*key)) {
        let message =
            "must not stand beside `register`: a job is a call or a registration, so leave one of the two out";
        return Err(mistyped(key.to_owned(), message.to_owned()));
    }
    let register = object_from_str(json).map_err(|error| mistake::<SubmitRegisterRequest<'_>>(json, error, mistyped));
    register.map(|register| SubmitRequest::Register(Box::new(register)))
}

fn owned(text: Cow<'_, str>) -> Result<String> {
    memory::owned("a registration", text)
}

impl Draft<'_> {
    /// The same draft, with copies of what it has borrowed from the request.
    pub fn into_owned(self) -> Result<Draft<'static>> {
        let Draft { name, timeout_ms, module, description, config_schema, args, env, snapshot, replace } = self;
        let module = match module {
            DraftModule::Path(path, language) => DraftModule::Path(path, language),
            DraftModule::Script(text, language) => DraftModule::Script(Cow::Owned(owned(text)?), language),
            DraftModule::Base64(text) => DraftModule::Base64(Cow::Owned(owned(text)?)),
            DraftModule::Of(name) => DraftModule::Of(name),
        };
        let config_schema = config_schema.map(owned).transpose()?.map(Cow::Owned);
        Ok(Draft { name, timeout_ms, module, description, config_schema, args, env, snapshot, replace })
    }

    /// Decodes the module and the schema.
    pub fn registration(self) -> Result<Registration> {
        let invalid = |path: String, message| Error::InvalidRequest { path, message };
        let Draft { name, timeout_ms, module, description, config_schema, args, env, snapshot, replace } = self;
        let mut language = None;
        let module = match module {
            DraftModule::Path(path, of_path) => {
                language = of_path;
                ModuleSource::Path(path)
            }
            DraftModule::Script(text, language) => ModuleSource::Script(owned(text)?, language),
            DraftModule::Of(name) => ModuleSource::Of(name),
            DraftModule::Base64(text) => {
                let bytes = base64::decoded(&text)?;
                ModuleSource::Bytes(bytes.map_err(|message| invalid("wasm_base64".to_owned(), message))?)
            }
        };
        let read = |text: &str| {
            unique::from_str(text).map_err(|error| {
                let path = words::path_at(text, words::offset_of(text, error.line(), error.column()));
                let message = format!("cannot be read: {}", words::syntax(&error));
                invalid(format!("config_schema{path}"), message)
            })
        };
        let config_schema = config_schema.as_deref().map(read).transpose()?;
        let timeout_ms = Some(timeout_ms);
        let (snapshot, warm_up, shared_random) = snapshot;
        Ok(Registration {
            name,
            module,
            language,
            description,
            config_schema,
            args,
            env,
            snapshot,
            warm_up,
            shared_random,
            replace,
            timeout_ms,
        })
    }
}

/// Parses the argument of `arawn_submit`. A call takes the same fast path as in
/// [`parse_request`](super::parse::parse_request).
pub fn parse_submit(json: &str) -> Result<SubmitRequest<'_>> {
    ensure_memory(json)?;
    match json::read_plain_object(json) {
        Some(call) => Ok(SubmitRequest::Call(call)),
        None => submit_request(json),
    }
}
