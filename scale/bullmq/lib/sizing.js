// How many items a batch has. A queue hands out some thousand jobs a second, so that a job should take long against a
// millisecond; and short against the whole, so that workers share it.

/** What a batch should take by default. */
export const TARGET_MS = 50;

/**
 * Runs items here until it is known what one takes, and says how many were run and how many a batch should have.
 * `runPart(start, end)` runs some items.
 */
export async function measure(count, { items, target_ms = TARGET_MS }, runPart, now = () => performance.now()) {
  if (items !== undefined) {
    if (items < count) return { outputs: [], done: 0, size: items };
    return { outputs: [await runPart(0, count)], done: count, size: items };
  }
  const outputs = [];
  let done = 0;
  // The first item tells little: what it runs may have to be compiled.
  for (let next = 1; done < count; next = done === 1 ? 1 : next * 2) {
    const end = Math.min(done + next, count);
    const began = now();
    outputs.push(await runPart(done, end));
    const took = now() - began;
    const isFirst = done === 0;
    const each = took / (end - done);
    done = end;
    if (isFirst || took < target_ms / 4) continue;
    const size = Math.max(1, Math.floor(target_ms / each));
    // What fits in one more batch is not worth a job.
    if (done < count && count - done <= size) {
      outputs.push(await runPart(done, count));
      done = count;
    }
    return { outputs, done, size };
  }
  return { outputs, done, size: 1 };
}
