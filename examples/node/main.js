// A shop and an order: an executor, `transform` on a document, a runtime that asks a function of the host, a script that
// asks it too, an edit of the script that does not parse, a call that does not block, one that is cancelled, an error,
// and the end of it all. The package `arawn` is the one of bindings/node.
//
//     make example-node
//
// It prints:
//
//     transform: Zoë Ångström, Malmö: 108.25, parcel 9007199254740993
//     stock: {"order":"2026-004711","missing":[{"sku":"CUP-0113","pieces":1}]}
//     levels: [7,1,3]
//     edit: script_invalid, line 2, column 10
//     later: {"order":"2026-004711","missing":[]}
//     never: cancelled
//     runtime_error: expression: context.customer has no key "adress" (it has: address, email, name)
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { ArawnError, Executor, Json } from 'arawn';

// As a text: the tracking number has more digits than a number of JavaScript's.
const order = new Json(await readFile('examples/c/document.json', 'utf8'));
// A script, which asks for the pieces of each article.
const levels = `export default ({ context }) => {
  return context.items.map(({ sku }) => arawn.call('stock.level', { sku }));
}
`;
const pieces = new Map([['TEA-0042', 7], ['POT-0007', 1], ['CUP-0113', 3]]);
let asked = 0;

/**
 * What the runtime asks, between other events; an unknown article throws, which the guest gets as an error.
 * @type {import('arawn').HostFunction}
 */
function stockLevel({ sku }) {
  asked++;
  if (!pieces.has(sku)) throw new RangeError(`nobody sells ${sku} here`);
  return pieces.get(sku);
}

/** Lets other events happen, as in any server, until the guest has asked some times. */
async function questions() {
  asked = 0;
  while (asked < 3) await setImmediate();
}

// An executor is a policy: where its runtimes are, what a call may take, and which functions guests may call.
const shop = await Executor.open(
  { runtimes_dir: 'target/example-node-runtimes', limits: { timeout_ms: 10_000 } },
  { 'stock.level': stockLevel },
);
try {
  // `transform` comes with the library. Here it fills in a text.
  const template = '{{customer.name}}, {{customer.address.city}}: {{total}}, parcel {{tracking_number}}';
  console.log('transform:', await shop.execute('transform', { config: { template }, context: order }));

  // `stock` is put into the catalog. It asks this program.
  await shop.register({ name: 'stock', path: 'runtimes/prebuilt/stock.wasm', replace: true });
  console.log('stock:', JSON.stringify(await shop.execute('stock', { context: order })));

  // A script is registered as its text: there is nothing to build.
  /** @param {string} script */
  const save = (script) => shop.register({ name: 'levels', script, language: 'javascript', replace: true });
  await save(levels);
  console.log('levels:', JSON.stringify(await shop.execute('levels', { context: order })));

  // An edit that does not parse is refused with its place, and the version before it stays.
  await save(levels.replace('return', 'retrun')).catch((error) => {
    if (!(error instanceof ArawnError)) throw error;
    console.log(`edit: ${error.code}, line ${error.details.line}, column ${error.details.column}`);
  });

  // No call blocks the event loop. This one asks again until nothing is missing.
  const later = shop.execute('stock', { config: { wait: true }, context: order });
  await questions();
  pieces.set('CUP-0113', 4); // A delivery.
  console.log('later:', JSON.stringify(await later));

  // Nobody brings more tea: this one would wait until its deadline, and is aborted.
  pieces.set('TEA-0042', 0);
  const impatience = new AbortController();
  const never = shop.execute('stock', { config: { wait: true }, context: order, signal: impatience.signal });
  await questions();
  impatience.abort();
  await never.catch((error) => {
    if (error !== impatience.signal.reason) throw error;
    console.log('never: cancelled');
  });

  // What is wrong is an exception: a text for people, and a code for programs.
  try {
    await shop.execute('transform', { config: { expression: 'customer.adress' }, context: order });
  } catch (error) {
    if (!(error instanceof ArawnError)) throw error;
    console.log(`${error.code}: ${error.message}`);
  }
} finally {
  await shop.close();
}
