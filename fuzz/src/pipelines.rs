//! Pipelines of `passthrough`, beside a model of them: the same document, worked through with values in place of text. The
//! outputs are the same, or both find the same step's list to be none; submitted, the reply is the same once more.

use super::abi::{call, call_text};
use arawn::ffi;
use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static EXECUTOR: LazyLock<Value> = LazyLock::new(|| {
    let made = call(ffi::arawn_executor_new, &json!({"cache_dir": null, "limits": {"timeout_ms": 60_000}}));
    made.expect_ok()["executor"].clone()
});

pub fn run(bytes: &[u8]) {
    let Ok(pipeline) = Pipeline::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let text = pipeline.text(&EXECUTOR);
    let reply = call_text(ffi::arawn_execute_pipeline, &text);
    match pipeline.model() {
        Ok(output) => assert_eq!(reply.expect_ok(), &output, "{text}"),
        Err(steps) => {
            assert_eq!(reply.code(), "invalid_request", "{text}: {}", reply.text);
            // A list of the context at the start is looked for before anything runs, so no step has failed there.
            let told = &reply.value["details"]["step"];
            assert!(told.is_null() || steps.iter().any(|step| told == step), "{text}: {}", reply.text);
        }
    }
    if pipeline.is_submitted {
        let submitted = call_text(ffi::arawn_submit, &text);
        let Some(job) = submitted.ok().map(|output| output["job"].clone()) else {
            return assert_eq!(submitted.text, reply.text);
        };
        let poll = json!({"executor": *EXECUTOR, "job": job, "wait_ms": 60_000});
        let (reply, polled) = (Value::Object(reply.value), call(ffi::arawn_poll, &poll));
        let polled = &polled.expect_ok()["reply"];
        assert_eq!((&polled["output"], &polled["code"]), (&reply["output"], &reply["code"]), "{text}");
    }
}

/// The names of steps, and the keys of contexts: with escapes, in other alphabets, and alike.
const NAMES: [&str; 8] = ["a", "b", "\"", "\\u", "é", "a b", "0", "}],"];
const KEYS: [&str; 6] = ["k", "l", "0", "\\", "é", "\u{1F600}"];

#[derive(Debug)]
struct Pipeline {
    steps: Vec<Step>,
    context: Map<String, Value>,
    is_submitted: bool,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    config: Value,
    /// Steps that stand before this one.
    needs: Vec<usize>,
    for_each: Option<Vec<String>>,
}

impl<'a> Arbitrary<'a> for Pipeline {
    fn arbitrary(source: &mut Unstructured<'a>) -> Result<Self> {
        let count = source.int_in_range(1..=NAMES.len())?;
        let context: Map<_, _> = (0..source.int_in_range(0..=2)?)
            .map(|_| Ok((format!("c{}", source.choose(&KEYS)?), value(source, 3)?)))
            .collect::<Result<_>>()?;
        let mut steps = Vec::new();
        for (number, name) in NAMES.into_iter().enumerate().take(count) {
            let mut needs = Vec::new();
            for need in 0..number {
                if source.ratio(2, 5)? {
                    needs.push(need);
                }
            }
            if needs.len() > 1 && source.arbitrary()? {
                needs.reverse();
            }
            // Each list multiplies what comes before it.
            let lists = steps.iter().filter(|step: &&Step| step.for_each.is_some()).count();
            let for_each = if lists < 2 && source.ratio(2, 5)? { Some(path(source, &needs, &context)?) } else { None };
            steps.push(Step { name, config: value(source, 3)?, needs, for_each });
        }
        Ok(Pipeline { steps, context, is_submitted: source.ratio(1, 4)? })
    }
}

fn value(source: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    Ok(match source.int_in_range(0..=if depth == 0 { 3 } else { 6 })? {
        0 => Value::Null,
        1 => json!(source.arbitrary::<i32>()?),
        2 => json!(source.arbitrary::<&str>()?.get(..20).unwrap_or("ü\"\\\n")),
        3 => json!(source.arbitrary::<bool>()?),
        4 => {
            let member =
                |source: &mut Unstructured<'_>| Ok(((*source.choose(&KEYS)?).to_owned(), value(source, depth - 1)?));
            Value::Object((0..source.int_in_range(0..=3)?).map(|_| member(source)).collect::<Result<_>>()?)
        }
        _ => Value::Array((0..source.int_in_range(0..=4)?).map(|_| value(source, depth - 1)).collect::<Result<_>>()?),
    })
}

/// A path that may lead to a list: an output of `passthrough` has its config.
fn path(source: &mut Unstructured<'_>, needs: &[usize], context: &Map<String, Value>) -> Result<Vec<String>> {
    let mut keys: Vec<String> = match (needs.is_empty(), context.keys().next()) {
        (false, _) => vec![NAMES[*source.choose(needs)?].to_owned(), "config".to_owned()],
        (true, Some(key)) => vec![key.clone()],
        (true, None) => vec!["none".to_owned()],
    };
    for _ in 0..source.int_in_range(0..=2)? {
        keys.push((*source.choose(&KEYS)?).to_owned());
    }
    Ok(keys)
}

impl Pipeline {
    /// The request, with white space of all kinds between its parts.
    fn text(&self, executor: &Value) -> String {
        let step = |step: &Step| {
            let needs: Vec<_> = step.needs.iter().map(|need| self.steps[*need].name).collect();
            let mut text = json!({"name": step.name, "runtime": "passthrough", "config": step.config, "needs": needs});
            if let Some(path) = &step.for_each {
                text["for_each"] = json!(path.join("."));
            }
            text
        };
        let steps: Vec<_> = self.steps.iter().map(step).collect();
        let (steps, context) = (json!(steps), serde_json::to_string_pretty(&self.context).unwrap());
        format!("{{\"executor\":{executor},\"pipeline\" : {{\"steps\":{steps}}} ,\"context\": {context}\t}}")
    }

    /// The output, or the steps whose paths lead to no list. Any of them may be the first one to run.
    fn model(&self) -> std::result::Result<Value, Vec<&'static str>> {
        let (mut outputs, mut failed) = (BTreeMap::new(), Vec::new());
        for (number, step) in self.steps.iter().enumerate() {
            if !step.needs.iter().all(|need| outputs.contains_key(need)) {
                continue;
            }
            let mut context = self.context.clone();
            for need in &step.needs {
                let output: &Value = &outputs[need];
                context.insert(self.steps[*need].name.to_owned(), output.clone());
            }
            let output = |context: Value| json!({"config": step.config, "context": context});
            let of_step = match &step.for_each {
                None => output(Value::Object(context)),
                Some(path) => {
                    let mut context = Value::Object(context);
                    let Some(list) = taken(&mut context, path) else {
                        failed.push(step.name);
                        continue;
                    };
                    let of_item = |(index, item): (usize, Value)| {
                        let mut context = context.clone();
                        context["item"] = item;
                        context["index"] = json!(index);
                        output(context)
                    };
                    Value::Array(list.into_iter().enumerate().map(of_item).collect())
                }
            };
            outputs.insert(number, of_step);
        }
        if failed.is_empty() { Ok(outputs.remove(&(self.steps.len() - 1)).unwrap()) } else { Err(failed) }
    }
}

/// Takes the list at a path out of a value.
fn taken(value: &mut Value, path: &[String]) -> Option<Vec<Value>> {
    fn within<'a>(value: &'a mut Value, key: &String) -> Option<&'a mut Value> {
        match value {
            Value::Object(members) => members.get_mut(key),
            Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
            _ => None,
        }
    }
    let (last, before) = path.split_last()?;
    let place = before.iter().try_fold(value, within)?;
    let list = within(place, last)?.as_array().cloned()?;
    match place {
        Value::Object(members) => drop(members.shift_remove(last)),
        place => *within(place, last)? = Value::Null,
    }
    Some(list)
}
