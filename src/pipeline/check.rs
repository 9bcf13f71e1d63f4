//! Checks the shape of a pipeline's document, before anything runs.

use super::document::{Checked, ForEach, INDEX, ITEM, Pipeline, Step};
use crate::config::MAX_TIMEOUT_MS;
use crate::error::{Error, Result, quoted};
use crate::json::{RawJson, members, words};
use crate::memory;
use crate::protocol::{PipelineDocument, PipelineRequest, Retry, StepDocument, parse_request};
use foldhash::fast::RandomState;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The most steps of a pipeline.
const MOST_STEPS: usize = 1000;
/// The most bytes of a step's name: as many as a runtime's name may have.
const MOST_OF_NAME: usize = 64;
/// The most bytes and keys of a path to a list. Each key takes a pass over what is below the key before it.
const MOST_OF_PATH: usize = 1024;
const MOST_KEYS: usize = 32;
/// The largest index of a first item: with all items of a list it stays below 2^53, which every language's numbers
/// have.
const MOST_FIRST_INDEX: u64 = (1 << 53) - 100_001;
/// The most tries of a step.
const MOST_ATTEMPTS: u32 = 100;

type Numbers<'a> = HashMap<&'a str, usize, RandomState>;

impl Pipeline {
    /// Checks a document, `{"steps": […], "output": …}`, with the context that it is given at the start: the text of a
    /// JSON object, `{}` if there is none.
    ///
    /// # Errors
    /// `invalid_json`, and `invalid_request` with the path of the mistake.
    pub fn from_json(document: &str, context: Option<&str>) -> Result<Self> {
        let document: PipelineDocument<'_> = parse_request(document).map_err(in_pipeline)?;
        let context = context.map(raw).transpose()?;
        checked(document, context.unwrap_or_default(), Vec::new())
    }

    /// The same pipeline, with the output of a step that then does not run: the text of a JSON value.
    ///
    /// # Errors
    /// `invalid_json`, and `invalid_request` where there is no such step.
    pub fn with_completed(self, step: &str, output: &str) -> Result<Self> {
        let output = raw(output)?.get();
        let mut checked = Arc::unwrap_or_clone(self.0);
        let number = checked.steps.iter().position(|other| other.name == step);
        let number = number.ok_or_else(|| unknown_completed(step))?;
        checked.completed.insert(number, copied("the output of a step", output)?);
        Ok(Pipeline(Arc::new(checked)))
    }

    pub(crate) fn of_request(request: PipelineRequest<'_>) -> Result<Self> {
        checked(request.pipeline, request.context, request.completed)
    }
}

/// Checks a document with what it is given at the start.
fn checked(
    document: PipelineDocument<'_>,
    context: RawJson<'_>,
    completed: Vec<(Cow<'_, str>, RawJson<'_>)>,
) -> Result<Pipeline> {
    let PipelineDocument { steps: documents, output } = document;
    if documents.is_empty() || documents.len() > MOST_STEPS {
        let message = format!("has {} steps, but must have 1 to {MOST_STEPS}", documents.len());
        return Err(invalid("pipeline.steps".to_owned(), message));
    }
    let numbers = numbers(&documents)?;
    check_context(context, &documents, &numbers)?;
    let find = |name: &str| numbers.get(name).copied();
    let output = match &output {
        Some(name) => find(name).ok_or_else(|| unknown("pipeline.output".to_owned(), name))?,
        None => documents.len() - 1,
    };
    let mut given = BTreeMap::new();
    for (name, output) in &completed {
        let step = find(name).ok_or_else(|| unknown_completed(name))?;
        if given.insert(step, copied("the output of a step", output.get())?).is_some() {
            return Err(invalid(format!("completed.{}", quoted(name)), "appears twice".to_owned()));
        }
    }
    let mut steps = documents
        .iter()
        .enumerate()
        .map(|(number, step)| checked_step(number, step, &numbers))
        .collect::<Result<Vec<_>>>()?;
    for number in 0..steps.len() {
        for need in steps[number].needs.clone() {
            steps[need].needed_by.push(number);
        }
    }
    refuse_circles(&steps)?;
    let context = copied("the context of a pipeline", context.get())?;
    Ok(Pipeline(Arc::new(Checked { steps, output, context, completed: given })))
}

fn copied(what: &str, text: &str) -> Result<Arc<String>> {
    memory::copied(what, text).map(Arc::new)
}

/// The number of each step, by its name.
fn numbers<'a>(documents: &'a [StepDocument<'_>]) -> Result<Numbers<'a>> {
    let mut numbers = Numbers::with_capacity_and_hasher(documents.len(), RandomState::default());
    for (number, step) in documents.iter().enumerate() {
        let name = &*step.name;
        let message = if name.is_empty() {
            "must not be empty".to_owned()
        } else if name.len() > MOST_OF_NAME {
            format!("has {} bytes, but must have at most {MOST_OF_NAME}", name.len())
        } else if name.contains('.') {
            format!("is {}, but must have no dot: dots part the keys of a path", named(name))
        } else if name.contains(char::is_control) {
            format!("is {}, but must have no control characters", named(name))
        } else if [ITEM, INDEX].contains(&name) {
            format!("must not be `{name}`: in a `for_each`, this is the key of an item's own value")
        } else {
            match numbers.insert(name, number) {
                None => continue,
                Some(other) => format!("is {}, which is the name of `pipeline.steps[{other}]`", named(name)),
            }
        };
        return Err(invalid(format!("pipeline.steps[{number}].name"), message));
    }
    Ok(numbers)
}

/// Refuses a context that is no object, or has a key that a step's context adds.
fn check_context(context: RawJson<'_>, documents: &[StepDocument<'_>], numbers: &Numbers<'_>) -> Result<()> {
    if !context.get().starts_with('{') {
        return Err(invalid(
            "context".to_owned(),
            "must be an object: the outputs of steps are added to it".to_owned(),
        ));
    }
    let has_items = documents.iter().any(|step| step.for_each.is_some());
    for member in members(context.get()) {
        let key = &*member.key;
        let path = || format!("context.{}", quoted(key));
        if numbers.contains_key(key) {
            return Err(invalid(path(), "is the name of a step, whose output would have the same key".to_owned()));
        }
        if has_items && [ITEM, INDEX].contains(&key) {
            let message = "must not be given: a `for_each` adds a key of this name for each item";
            return Err(invalid(path(), message.to_owned()));
        }
    }
    Ok(())
}

fn checked_step(number: usize, document: &StepDocument<'_>, numbers: &Numbers<'_>) -> Result<Step> {
    let at = |key: &str| format!("pipeline.steps[{number}].{key}");
    let needs = match &document.needs {
        Some(names) => needs(number, names, numbers)?,
        None => number.checked_sub(1).into_iter().collect(),
    };
    let for_each = match (&document.for_each, document.first_index) {
        (None, None) => None,
        (None, Some(_)) => {
            let message = "must not be given without `for_each`: it is the index of the first item";
            return Err(invalid(at("first_index"), message.to_owned()));
        }
        (Some(_), Some(first)) if first > MOST_FIRST_INDEX => {
            return Err(invalid(at("first_index"), format!("is {first}, but must be at most {MOST_FIRST_INDEX}")));
        }
        (Some(path), first) => Some(for_each(path, first, &needs, numbers, at("for_each"))?),
    };
    let Retry { attempts, delay_ms } = document.retry.unwrap_or_default();
    if !(1..=MOST_ATTEMPTS).contains(&attempts) {
        return Err(invalid(at("retry.attempts"), format!("is {attempts}, but must be 1 to {MOST_ATTEMPTS}")));
    }
    if delay_ms > MAX_TIMEOUT_MS {
        let message = format!("is {delay_ms}, but must be at most {MAX_TIMEOUT_MS} (a day)");
        return Err(invalid(at("retry.delay_ms"), message));
    }
    Ok(Step {
        name: document.name.clone().into_owned(),
        key: format!("{}:", Value::from(&*document.name)),
        runtime: document.runtime.clone().into_owned(),
        config: copied("the config of a step", document.config.get())?,
        needs,
        needed_by: Vec::new(),
        for_each,
        retry: Retry { attempts, delay_ms },
        limits: document.limits,
    })
}

fn needs(number: usize, names: &[Cow<'_, str>], numbers: &Numbers<'_>) -> Result<Vec<usize>> {
    let mut seen = HashSet::with_capacity_and_hasher(names.len(), RandomState::default());
    let number_of = |(place, name): (usize, &Cow<'_, str>)| {
        let at = || format!("pipeline.steps[{number}].needs[{place}]");
        match numbers.get(&**name) {
            None => Err(unknown(at(), name)),
            Some(need) if *need == number => Err(invalid(at(), "is the step itself".to_owned())),
            Some(need) if !seen.insert(*need) => Err(invalid(at(), format!("is {}, which appears twice", named(name)))),
            Some(need) => Ok(*need),
        }
    };
    names.iter().enumerate().map(number_of).collect()
}

fn for_each(text: &str, first: Option<u64>, needs: &[usize], numbers: &Numbers<'_>, at: String) -> Result<ForEach> {
    let mut keys = text.split('.');
    let root = keys.next().unwrap_or_default();
    if text.split('.').any(str::is_empty) {
        let message = format!("is {}, but must be keys that dots part, such as `fetch.items`", named(text));
        return Err(invalid(at, message));
    }
    if text.len() > MOST_OF_PATH || text.split('.').count() > MOST_KEYS {
        let message = format!("must have at most {MOST_KEYS} keys and {MOST_OF_PATH} bytes");
        return Err(invalid(at, message));
    }
    let need = match numbers.get(root) {
        None => None,
        Some(step) => match needs.iter().position(|need| need == step) {
            Some(place) => Some(place),
            None => {
                let message = format!("is {}, but begins with a step that `needs` does not name", named(text));
                return Err(invalid(at, message));
            }
        },
    };
    let path = if need.is_some() { keys } else { text.split('.') };
    let path = path.map(str::to_owned).collect();
    Ok(ForEach { text: text.to_owned(), need, path, first_index: first.unwrap_or_default() })
}

/// Refuses steps that wait for each other.
fn refuse_circles(steps: &[Step]) -> Result<()> {
    let mut waits_for: Vec<_> = steps.iter().map(|step| step.needs.len()).collect();
    let mut free: Vec<_> = (0..steps.len()).filter(|step| waits_for[*step] == 0).collect();
    while let Some(step) = free.pop() {
        for next in &steps[step].needed_by {
            waits_for[*next] -= 1;
            if waits_for[*next] == 0 {
                free.push(*next);
            }
        }
    }
    // Each step that is left needs another one that is left: some needs on, one comes again.
    let Some(mut at) = waits_for.iter().position(|count| *count > 0) else { return Ok(()) };
    let mut way = Vec::new();
    while !way.contains(&at) {
        way.push(at);
        let next = steps[at].needs.iter().find(|need| waits_for[**need] > 0);
        at = *next.ok_or_else(|| Error::internal("a circle that is none"))?;
    }
    let circle = &way[way.iter().position(|step| *step == at).unwrap_or(0)..];
    /// How many names of a circle are told.
    const TOLD: usize = 8;
    let names = circle.iter().take(TOLD).map(|step| named(&steps[*step].name));
    let names: Vec<_> =
        names.chain([if circle.len() > TOLD { "…".to_owned() } else { named(&steps[at].name) }]).collect();
    let message = format!("is a circle: {}", names.join(" needs "));
    Err(invalid(format!("pipeline.steps[{}].needs", circle[0]), message))
}

/// A name from the document, for a message.
fn named(name: &str) -> String {
    format!("`{}`", quoted(name))
}

/// Text that may have white space around its one value.
fn raw(text: &str) -> Result<RawJson<'_>> {
    serde_json::from_str(text).map_err(|error| Error::InvalidJson {
        line: error.line(),
        column: error.column(),
        message: words::syntax(&error),
    })
}

/// The error of a document, as that of the request which has it.
fn in_pipeline(error: Error) -> Error {
    match error {
        Error::InvalidRequest { path, message } => {
            let path = if path == "." { "pipeline".to_owned() } else { words::join("pipeline", &path) };
            Error::InvalidRequest { path, message }
        }
        other => other,
    }
}

fn invalid(path: String, message: String) -> Error {
    Error::InvalidRequest { path, message }
}

fn unknown(path: String, name: &str) -> Error {
    invalid(path, format!("is {}, but no step has this name", named(name)))
}

/// The error for an output that is given for a step which the document has not.
fn unknown_completed(name: &str) -> Error {
    invalid(format!("completed.{}", quoted(name)), "must be the output of a step, but no step has this name".to_owned())
}
