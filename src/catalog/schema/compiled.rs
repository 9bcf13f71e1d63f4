//! A schema as boon compiles it, and the check of a config against it.
//!
//! A check ends with its call's deadline, and a check may take much stack and time. So it is tried on up to three
//! threads:
//!
//! | thread | stack at most | steps at most | tried |
//! | --- | --- | --- | --- |
//! | the call's own | [`OF_THE_CALLER`] | [`BRIEF`] if the call is submitted | always |
//! | a thread of the lane `arawn-schema` | [`OF_A_LANE`] | any number | if the first ran out of stack or steps |
//! | a thread made for this check | [`LARGEST_STACK`] | any number | if the thread of the lane ran out of stack |
//!
//! Each try also has a bound for the memory of what it finds, see [`HELD_MIB`].

use super::failure::whole;
use super::failures::failures;
use super::limited::{Budget, Unfinished, limited, limited_anywhere};
use super::shape::{DEEPEST, Shape, values_of};
use crate::deadline::Deadline;
use crate::error::{Error, Failure, Phase, Result};
use crate::fair::Tenant;
use crate::json::{unique, words};
use crate::lanes::Lane;
use crate::locks::Locked;
use crate::memory;
use crate::threads;
use crate::waiting::until;
use boon::{Compiler, Held, SchemaIndex, Schemas, UrlLoader};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, Weak};
use tokio::sync::oneshot;

/// A compiled JSON Schema.
pub(crate) struct ConfigSchema {
    json: Value,
    schemas: Schemas,
    root: SchemaIndex,
}

/// The schema's own address. Nothing is ever fetched from it.
const URL: &str = "arawn:///config_schema";
/// The most objects of a schema.
const MOST_OBJECTS: usize = 5000;
/// The most values of a schema, and the most bytes of its texts and names. Compiling holds a schema several times over.
const MOST_OF_A_SCHEMA: usize = 50_000;
const LARGEST_SCHEMA: usize = 1 << 20;
/// Twice the bytes of stack that one level of a check takes.
const LEVEL: usize = 8 << 10;
/// The bytes of stack that a check may use on the thread of its call, on a thread of the lane and on a thread of its
/// own.
const OF_THE_CALLER: usize = 4 << 20;
const OF_A_LANE: usize = 16 << 20;
const LARGEST_STACK: usize = 128 << 20;
/// The steps of a check that a worker takes before it gives the check to the lane, since it has other calls to run.
/// They take about a millisecond.
const BRIEF: u64 = 100_000;
/// The most values of a config.
const MOST_VALUES: usize = 512 << 10;
/// The most bytes that one value takes while a config is read: the value, its key, and its part of the list or object
/// that holds it, while that grows.
const VALUE: usize = 560;
/// The steps that reading a value counts, plus one for each `READ_AT_ONCE` bytes that the value holds.
const READ: usize = 8;
const READ_AT_ONCE: usize = 64;
/// The most MiB that the failures of a check may hold. Most failures are found in branches that do not count in the
/// end.
const HELD_MIB: usize = 64;
/// The budget for compiling one schema. Compiling has no deadline, because one reading of a catalog serves all calls,
/// so its steps are bounded. 12 million steps take a tenth of a second at worst. A schema with [`MOST_OBJECTS`] takes a
/// quarter of them.
const COMPILE: Budget = Budget { stack_bytes: LEVEL * DEEPEST * 16, held_bytes: 16 << 20, steps: 12_000_000 };

/// The steps that may still be taken to compile the schemas of one catalog.
pub(crate) struct StepBudget {
    steps: u64,
    /// What the system refused while a schema was compiled. The schema may be valid.
    pub refused: Option<Error>,
}

impl StepBudget {
    /// The steps for all schemas of a catalog.
    pub fn of_a_catalog() -> Self {
        StepBudget { steps: 120_000_000, refused: None }
    }

    /// The steps for one schema.
    pub fn of_an_entry() -> Self {
        StepBudget { steps: COMPILE.steps, refused: None }
    }
}

/// What a check has found, or why it was not finished.
type Checked = Result<Found, Unfinished>;

/// What is wrong with a config.
enum Found {
    /// Everything in the config that the schema does not allow. Empty if the config fits.
    Unfit(Vec<Failure>),
    /// Why the config cannot be checked.
    Unread(Failure),
}

impl ConfigSchema {
    /// Compiles a schema, or says what is wrong with it and where. A schema that some catalog has in use, for example
    /// this catalog before its latest change, is not compiled again.
    pub fn compile(json: Value, steps: &mut StepBudget) -> Result<Arc<Self>, Failure> {
        static IN_USE: LazyLock<Mutex<HashMap<String, Weak<ConfigSchema>>>> = LazyLock::new(Mutex::default);
        let in_use = || IN_USE.locked();
        bounded(&json)?;
        let text = json.to_string();
        if let Some(schema) = in_use().get(&text).and_then(Weak::upgrade) {
            return Ok(schema);
        }
        let schema = Arc::new(Self::compiled(json, steps)?);
        let mut in_use = in_use();
        if in_use.len().is_power_of_two() {
            in_use.retain(|_, schema| schema.strong_count() > 0);
        }
        in_use.insert(text, Arc::downgrade(&schema));
        Ok(schema)
    }

    fn compiled(json: Value, left: &mut StepBudget) -> Result<Self, Failure> {
        let budget = Budget { steps: left.steps.min(COMPILE.steps), ..COMPILE };
        let compiled = limited_anywhere(budget, || (compile(&json), boon::steps_taken()));
        left.refused = match &compiled {
            Err(error) => Some(error.clone()),
            Ok(Err(Unfinished::Refused)) => Some(Error::no_memory("a JSON Schema")),
            Ok(_) => None,
        };
        let compiled = compiled.map_err(whole)?;
        let (compiled, taken) = compiled.map_err(|unfinished| whole(unfinished.of_a_schema(budget)))?;
        left.steps = left.steps.saturating_sub(taken);
        let (schemas, root) = compiled?;
        Ok(ConfigSchema { json, schemas, root })
    }

    /// Checks the config of a call of `runtime`, until the deadline. An error if the config does not fit the schema.
    pub async fn check(
        self: &Arc<Self>,
        tenant: Tenant,
        runtime: &str,
        config: &str,
        deadline: &Deadline,
    ) -> Result<()> {
        let steps = if deadline.is_on_worker() { BRIEF } else { u64::MAX };
        let failures = match self.failures(config, deadline, OF_THE_CALLER, steps)? {
            Err(Unfinished::TooDeep | Unfinished::TooManySteps) => self.elsewhere(tenant, config, deadline).await?,
            done => done,
        };
        let found = failures.unwrap_or_else(|unfinished| Found::Unread(whole(unfinished.of_a_config())));
        let (failures, is_checked) = match found {
            Found::Unfit(failures) if failures.is_empty() => return Ok(()),
            Found::Unfit(failures) => (failures, true),
            Found::Unread(failure) => (vec![failure], false),
        };
        Err(Error::SchemaViolation { runtime: runtime.to_owned(), failures, is_checked })
    }

    /// Does the check on a thread of the lane, which has the stack and the time for it, when it is the executor's turn.
    async fn elsewhere(self: &Arc<Self>, tenant: Tenant, config: &str, deadline: &Deadline) -> Result<Checked> {
        static CHECKS: LazyLock<Lane> = LazyLock::new(|| Lane::new("arawn-schema", OF_A_LANE, 4, 2));
        let (answer, answered) = oneshot::channel();
        let (schema, config, its_deadline) = (self.clone(), memory::copied("the config", config)?, deadline.clone());
        let work = move || {
            if !answer.is_closed() {
                // Sending fails if the call has ended meanwhile.
                let _ = answer.send(schema.failures_however_deep(&config, &its_deadline));
            }
        };
        CHECKS.submit(tenant, work).map_err(|(error, _)| error)?;
        let checked = until(deadline, answered).await.map_err(|stop| deadline.error(stop, Phase::Config))?;
        checked.unwrap_or_else(|_| Err(Error::internal("a check was lost")))
    }

    /// Does the check on this thread of the lane. If the stack does not suffice, does it on a thread with the largest
    /// stack.
    fn failures_however_deep(&self, config: &str, deadline: &Deadline) -> Result<Checked> {
        match self.failures(config, deadline, OF_A_LANE, u64::MAX)? {
            Err(Unfinished::TooDeep) => threads::with_stack("arawn-schema", LARGEST_STACK, || {
                self.failures(config, deadline, LARGEST_STACK, u64::MAX)
            }),
            done => Ok(done),
        }
    }

    /// Does the check on this thread. Finds everything in a config that the schema does not allow.
    fn failures(&self, config: &str, deadline: &Deadline, stack_bytes: usize, steps: u64) -> Result<Checked> {
        let values = values_of(config);
        if values > MOST_VALUES {
            return Ok(Ok(Found::Unread(whole(format!("has more values than the {MOST_VALUES} that can be checked")))));
        }
        let most_held = values * VALUE + config.len();
        memory::ensure("the config", most_held)?;
        let held_bytes = (HELD_MIB << 20) + most_held;
        let budget = Budget { stack_bytes, held_bytes, steps };
        match limited(budget, Some(deadline), || self.validate(config)) {
            Err(Unfinished::Stopped(stop)) => Err(deadline.error(stop, Phase::Config)),
            Err(Unfinished::Refused) => Err(Error::no_memory("the check of the config")),
            done => Ok(done),
        }
    }

    fn validate(&self, config: &str) -> Found {
        let held = RefCell::new(Held::default());
        let read = unique::from_str_counted(config, &|bytes| {
            boon::spend(READ + bytes / READ_AT_ONCE);
            held.borrow_mut().add(bytes);
        });
        let config = match read {
            Ok(config) => config,
            Err(error) => return Found::Unread(unread(config, &error)),
        };
        let result = self.schemas.validate(&config, self.root);
        Found::Unfit(result.err().map(|error| failures(&error)).unwrap_or_default())
    }

    /// The schema as it was written.
    pub fn json(&self) -> &Value {
        &self.json
    }
}

/// Why a config, which is valid JSON, is not read. A config that two readers may take in different ways is not checked.
#[cold]
fn unread(config: &str, error: &serde_json::Error) -> Failure {
    let path = words::path_at(config, words::offset_of(config, error.line(), error.column()));
    Failure { path, message: words::syntax(error) }
}

/// Refuses a value that is no schema, and a schema that is too large.
fn bounded(json: &Value) -> Result<(), Failure> {
    let Shape { objects, depth, values, bytes } = Shape::of(json);
    if !json.is_object() && !json.is_boolean() {
        return Err(whole("it is neither an object nor a boolean"));
    }
    if objects > MOST_OBJECTS || depth > DEEPEST {
        let most = format!("{MOST_OBJECTS} objects and {DEEPEST} levels");
        return Err(whole(format!("it has {objects} objects in {depth} levels; at most {most} are taken")));
    }
    if values > MOST_OF_A_SCHEMA || bytes > LARGEST_SCHEMA {
        let most = format!("{MOST_OF_A_SCHEMA} values and {LARGEST_SCHEMA} bytes");
        return Err(whole(format!("it has {values} values and {bytes} bytes of text; at most {most} are taken")));
    }
    Ok(())
}

fn compile(json: &Value) -> Result<(Schemas, SchemaIndex), Failure> {
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
    Ok((schemas, root))
}

impl Unfinished {
    fn of_a_config(self) -> String {
        match self {
            Unfinished::TooDeep => "is nested too deeply for this schema".to_owned(),
            Unfinished::TooMuchMemory => {
                format!("takes more than {HELD_MIB} MiB to check, because too much of it does not fit")
            }
            Unfinished::TooLong => "has a string that is too long for a pattern or a format of this schema".to_owned(),
            Unfinished::TooManySteps | Unfinished::Stopped(_) | Unfinished::Refused => {
                "takes too long to check".to_owned()
            }
        }
    }

    fn of_a_schema(self, Budget { steps, held_bytes, .. }: Budget) -> String {
        match self {
            Unfinished::TooDeep => "it is nested too deeply".to_owned(),
            Unfinished::TooMuchMemory => format!("it takes more than {} MiB to compile", held_bytes >> 20),
            Unfinished::TooLong => {
                format!("it has a text that is too long; a pattern may have {} bytes", boon::LONGEST_PATTERN)
            }
            Unfinished::Refused => "the system has no memory left for it".to_owned(),
            Unfinished::TooManySteps if steps < COMPILE.steps => {
                "the schemas of this catalog take too long to compile".to_owned()
            }
            Unfinished::TooManySteps | Unfinished::Stopped(_) => format!("it takes more than {steps} steps to compile"),
        }
    }
}

/// A loader that fetches no schema: a catalog reads no other files, and nothing from the network.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, _url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err("schemas are not fetched: put what `$ref` refers to under `$defs`".into())
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
        let compiled = |title: &str| {
            ConfigSchema::compile(json!({"type": "object", "title": title}), &mut StepBudget::of_an_entry())
        };
        let compile = || compiled("compiled once");
        let (one, two) = (compile()?, compile()?);
        assert!(Arc::ptr_eq(&one, &two));
        let other = compiled("another one")?;
        assert!(!Arc::ptr_eq(&one, &other));
        let unused = Arc::downgrade(&one);
        drop((one, two));
        assert!(unused.upgrade().is_none(), "it goes with the last catalog that has it");
        compile().map(drop)
    }
}
