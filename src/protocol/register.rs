//! What a host asks in order to add a runtime: by `arawn_catalog_register`, or by `arawn_submit` under `register`.

use super::{base64, mistake, object, object_from_str, unique, words};
use crate::error::{Error, Result};
use crate::executor::{ModuleSource, Registration, registration_timeout};
use crate::json::RawJson;
use crate::protocol::ExecuteRequest;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A request with the members of a registration, and those of its own before them.
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
            #[serde(default)]
            description: String,
            #[serde(borrow, default)]
            config_schema: Option<RawJson<'a>>,
            #[serde(default)]
            args: Vec<String>,
            #[serde(default)]
            env: BTreeMap<String, String>,
            #[serde(default)]
            replace: bool,
            #[serde(default)]
            timeout_ms: Option<u64>,
        }

        impl<'a> $name<'a> {
            /// What can be told of the registration without work. `at` is the path of the registration in the request.
            fn draft_at(self, at: &str) -> Result<Draft<'a>> {
                let invalid = |path: &str, message| Error::InvalidRequest { path: words::join(at, path), message };
                let timeout_ms =
                    registration_timeout(self.timeout_ms).map_err(|message| invalid("timeout_ms", message))?;
                let module = match (self.path, self.wasm_base64, self.module_of) {
                    (Some(path), None, None) => DraftModule::Path(path),
                    (None, Some(text), None) => DraftModule::Base64(text),
                    (None, None, Some(name)) => DraftModule::Of(name),
                    _ => {
                        let message = "must have one of `path`, `wasm_base64` and `module_of`: what is registered";
                        let path = if at.is_empty() { "." } else { at };
                        return Err(Error::InvalidRequest { path: path.to_owned(), message: message.to_owned() });
                    }
                };
                let config_schema = self.config_schema.map(|schema| Cow::Borrowed(schema.get()));
                let $name { name, description, args, env, replace, .. } = self;
                Ok(Draft { name, module, description, config_schema, args, env, replace, timeout_ms })
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
    /// The value of `register`, whose executor stands beside it.
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
}

/// A registration whose module and schema are still the text of the request.
#[derive(Debug)]
pub struct Draft<'a> {
    pub name: String,
    pub timeout_ms: u64,
    module: DraftModule<'a>,
    description: String,
    config_schema: Option<Cow<'a, str>>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    replace: bool,
}

#[derive(Debug)]
enum DraftModule<'a> {
    Path(PathBuf),
    Base64(Cow<'a, str>),
    Of(String),
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

/// Reads a request that [`ExecuteRequest`] does not fit at first sight: a registration, or one with a mistake.
#[cold]
pub(super) fn submit_request(json: &str) -> Result<SubmitRequest<'_>> {
    let mistyped = |path, message| Error::InvalidRequest { path, message };
    // Of what is no object, the reader of a call tells what is wrong.
    let keys: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_str(json).unwrap_or_default();
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

impl Draft<'_> {
    /// The same without the request.
    pub fn into_owned(self) -> Draft<'static> {
        let Draft { name, timeout_ms, module, description, config_schema, args, env, replace } = self;
        let module = match module {
            DraftModule::Path(path) => DraftModule::Path(path),
            DraftModule::Base64(text) => DraftModule::Base64(Cow::Owned(text.into_owned())),
            DraftModule::Of(name) => DraftModule::Of(name),
        };
        let config_schema = config_schema.map(|schema| Cow::Owned(schema.into_owned()));
        Draft { name, timeout_ms, module, description, config_schema, args, env, replace }
    }

    /// What is to be registered.
    pub fn registration(self) -> Result<Registration> {
        let invalid = |path: String, message| Error::InvalidRequest { path, message };
        let Draft { name, timeout_ms, module, description, config_schema, args, env, replace } = self;
        let module = match module {
            DraftModule::Path(path) => ModuleSource::Path(path),
            DraftModule::Of(name) => ModuleSource::Of(name),
            DraftModule::Base64(text) => {
                let bytes = base64::decoded(&text);
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
        Ok(Registration { name, module, description, config_schema, args, env, replace, timeout_ms })
    }
}
