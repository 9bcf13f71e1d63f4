'use strict';
// What calls and pipelines ask of the library. A request is
//
//   function   its number
//   head       members with values
//   body       members as texts, which may have digits that values lose
//   texts      by name, the texts of `body` that the caller has given as JSON
const { Json, jsonOf } = require('./json.js');
const { number } = require('./native.js');
const raw = require('./raw.js');

function callOf(runtime, { config, context, raw: isRaw }) {
  const json = isRaw ? raw.textOf : jsonOf;
  const input = `{"config":${json(config, 'config', '{}')},"context":${json(context, 'context', '{}')}}`;
  return { function: number.executeRuntime, head: { runtime }, body: `"input":${input}`, texts: { config, context } };
}

function pipelineOf(document, { completed = {}, context, dryRun, raw: isRaw }) {
  if (Object.prototype.toString.call(completed) !== '[object Object]' || completed instanceof Json) {
    throw new TypeError('`completed` is an object that has the outputs of steps by their names');
  }
  const json = isRaw ? raw.textOf : jsonOf;
  const texts = { pipeline: document, context };
  const outputs = [];
  for (const [name, output] of Object.entries(completed)) {
    if (output === undefined) continue;
    texts[`completed.${name}`] = output;
    outputs.push(`${JSON.stringify(name)}:${json(output, `completed.${name}`)}`);
  }
  const pipeline = isRaw && typeof document === 'string' ? raw.textOf(document, 'pipeline') : documentOf(document);
  const body = `"pipeline":${pipeline},"context":${json(context, 'context', '{}')},"completed":{${outputs}}`;
  return { function: number.executePipeline, head: { dry_run: dryRun }, body, texts };
}

/** The JSON of a document, of which each config may be a Json. */
function documentOf(document) {
  const { steps } = document ?? {};
  const hasJson = Array.isArray(steps) && steps.some((step) => step?.config instanceof Json);
  if (!hasJson) return jsonOf(document, 'pipeline', 'null');
  const texts = steps.map((step, index) => {
    const path = `pipeline.steps[${index}]`;
    if (!(step?.config instanceof Json)) return jsonOf(step, path, 'null');
    return withMember(jsonOf({ ...step, config: undefined }, path), 'config', step.config);
  });
  return withMember(jsonOf({ ...document, steps: undefined }, 'pipeline'), 'steps', `[${texts}]`);
}

const withMember = (object, name, text) => `${object.slice(0, -1)}${object === '{}' ? '' : ','}"${name}":${text}}`;

module.exports = { callOf, pipelineOf };
