//! A schema as boon compiles it, and how a config is checked against it in time and within a stack.

use super::failures::failures;
use super::whole;
use crate::error::{Error, Failure, Phase, Result};
use crate::jobs::Deadline;
use crate::protocol::unique;
use crate::sandbox::stack;
use crate::threads;
use boon::{Compiler, SchemaIndex, Schemas, UrlLoader};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// A JSON Schema, ready to be asked.
pub(crate) struct ConfigSchema {
    json: Value,
    schemas: Schemas,
    root: SchemaIndex,
    /// Whether it refers to parts of itself, so that its own depth does not bound that of a validation.
    refers: bool,
}

/// The schema's own address. Nothing is ever fetched from it.
const URL: &str = "arawn:///config_schema";
/// Compiling takes time with the square of it.
const MOST_OBJECTS: usize = 5000;
/// serde_json reads no deeper.
const DEEPEST: usize = 128;
/// Twice what a level of a validation takes of the stack, and what the deepest may have.
const LEVEL: usize = 8 << 10;
const LARGEST_STACK: usize = 512 << 20;
/// A validation of no more than this, bytes of the config times subschemas, is sooner done than a thread is started.
const AT_ONCE: usize = 1 << 18;

impl ConfigSchema {
    /// Compiles a schema, or says what is wrong with it and where. One that is in use, such as by the catalog before its
    /// latest change, is not compiled again.
    pub fn compile(json: Value) -> Result<Arc<Self>, Failure> {
        static IN_USE: LazyLock<Mutex<HashMap<String, Weak<ConfigSchema>>>> = LazyLock::new(Mutex::default);
        let in_use = || IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let text = json.to_string();
        if let Some(schema) = in_use().get(&text).and_then(Weak::upgrade) {
            return Ok(schema);
        }
        let schema = Arc::new(Self::compiled_elsewhere(json)?);
        let mut in_use = in_use();
        if in_use.len().is_power_of_two() {
            in_use.retain(|_, schema| schema.strong_count() > 0);
        }
        in_use.insert(text, Arc::downgrade(&schema));
        Ok(schema)
    }

    fn compiled_elsewhere(json: Value) -> Result<Self, Failure> {
        // Checking a schema against its metaschema takes several levels for each of its own.
        let compiling = threads::spawn_with_stack("arawn-schema", LEVEL * DEEPEST * 16, move || {
            crate::panics::caught(|| Ok(Self::compiled(json)))
        });
        let compiled = compiling.map_err(whole)?.join();
        compiled.unwrap_or_else(|_| Err(Error::internal("a panic"))).unwrap_or_else(|error| Err(whole(error)))
    }

    fn compiled(json: Value) -> Result<Self, Failure> {
        let mut shape = Shape::default();
        shape.measure(&json, 0);
        let Shape { objects, depth, refers } = shape;
        match &json {
            Value::Object(_) | Value::Bool(_) => {}
            _ => return Err(whole("it is neither an object nor a boolean")),
        }
        if objects > MOST_OBJECTS || depth > DEEPEST {
            let most = format!("{MOST_OBJECTS} objects and {DEEPEST} levels");
            return Err(whole(format!("it has {objects} objects in {depth} levels; at most {most} are taken")));
        }
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.use_loader(Box::new(Nothing));
        let refused = |error: boon::CompileError| match &error {
            boon::CompileError::ValidationError { src, .. } => {
                failures(src).into_iter().next().unwrap_or_else(|| whole(format!("{error:#}")))
            }
            _ => whole(format!("{error:#}").replace(URL, "config_schema")),
        };
        compiler.add_resource(URL, json.clone()).map_err(refused)?;
        let root = compiler.compile(URL, &mut schemas).map_err(refused)?;
        Ok(ConfigSchema { json, schemas, root, refers })
    }

    /// Refuses a config of a runtime that does not fit the schema.
    pub fn check(self: &Arc<Self>, runtime: &str, config: &str, deadline: &Deadline) -> Result<()> {
        let failures = self.failures(config, deadline)?;
        if failures.is_empty() { Ok(()) } else { Err(Error::ConfigInvalid { runtime: runtime.to_owned(), failures }) }
    }

    /// Tells everything in a config that the schema does not allow, until the deadline.
    fn failures(self: &Arc<Self>, config: &str, deadline: &Deadline) -> Result<Vec<Failure>> {
        let is_small = config.len().saturating_mul(self.schemas.size()) <= AT_ONCE;
        if is_small && !self.refers && stack::is_large_enough() {
            return Ok(self.validate(config));
        }
        // A subschema is at work at most once for each value on the way to the innermost.
        let levels = if self.refers { self.schemas.size().saturating_mul(depth_of(config) + 1) } else { DEEPEST };
        let needed = levels.saturating_mul(LEVEL).saturating_add(DEEPEST * LEVEL);
        if needed > LARGEST_STACK {
            return Ok(vec![whole("is nested too deeply for this schema")]);
        }
        let (schema, config) = (self.clone(), config.to_owned());
        on_time("arawn-config", needed, deadline, move || schema.validate(&config))
    }

    fn validate(&self, config: &str) -> Vec<Failure> {
        let config = match unique::from_str(config) {
            Ok(config) => config,
            Err(error) => return vec![whole(error)],
        };
        let result = self.schemas.validate(&config, self.root);
        result.err().map(|error| failures(&error)).unwrap_or_default()
    }

    /// As it was written.
    pub fn json(&self) -> &Value {
        &self.json
    }
}

/// How deep JSON text is nested, as far as it is read at all.
fn depth_of(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest.min(DEEPEST)
}

/// Does something on a thread of its own, and waits for it until the deadline. What has not ended by then goes on, and
/// its result is dropped.
fn on_time<T: Send + 'static>(
    name: &str,
    stack_bytes: usize,
    deadline: &Deadline,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let body = move || drop(sender.send(crate::panics::caught(|| Ok(work()))));
    threads::spawn_with_stack(name, stack_bytes, body).map_err(Error::internal)?;
    loop {
        let left = deadline.patience().map_err(|stop| deadline.error(stop, Phase::Config))?;
        match receiver.recv_timeout(left) {
            Ok(done) => return done,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::internal("a thread has died")),
        }
    }
}

/// Fetches no schema: neither files nor the network are the catalog's business.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, _url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err("schemas are not fetched; what is referred to stands under `$defs`".into())
    }
}

#[derive(Default)]
struct Shape {
    objects: usize,
    depth: usize,
    refers: bool,
}

impl Shape {
    fn measure(&mut self, json: &Value, depth: usize) {
        self.depth = self.depth.max(depth);
        match json {
            Value::Object(map) => {
                self.objects += 1;
                for (key, value) in map {
                    self.refers |= matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef");
                    self.measure(value, depth + 1);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.measure(value, depth + 1)),
            _ => {}
        }
    }
}

impl fmt::Debug for ConfigSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_in_use_is_compiled_once() -> Result<(), Failure> {
        let compile = || ConfigSchema::compile(json!({"type": "object", "title": "compiled once"}));
        let (one, two) = (compile()?, compile()?);
        assert!(Arc::ptr_eq(&one, &two));
        let other = ConfigSchema::compile(json!({"type": "object", "title": "another one"}))?;
        assert!(!Arc::ptr_eq(&one, &other));
        let unused = Arc::downgrade(&one);
        drop((one, two));
        assert!(unused.upgrade().is_none(), "it goes with the last catalog that has it");
        compile().map(drop)
    }

    #[test]
    fn text_is_as_deep_as_its_brackets_and_not_its_strings() {
        for (json, depth) in
            [("1", 0), ("{}", 1), ("[[],[[]]]", 3), (r#"{"[[[[\"[[":[{}]}"#, 3), (r#"["\\",["["]]"#, 2)]
        {
            assert_eq!(depth_of(json), depth, "{json}");
        }
        assert_eq!(depth_of(&"[".repeat(1000)), DEEPEST);
    }
}
