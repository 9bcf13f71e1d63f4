// What a thread was kept from its events by: how long a function of the library computed on it or made it sleep.
//
// Wall time alone would not tell. On a busy machine a thread is left without a processor for many milliseconds,
// wherever it happens to be; but the kernel counts its processor time, and how often it has gone to sleep of its own
// accord.
import koffi from 'koffi';
import { createRequire } from 'node:module';

const libc = koffi.load(null);
const clock_gettime = libc.func('clock_gettime', 'int', ['int', 'void *']);
const getrusage = libc.func('getrusage', 'int', ['int', 'void *']);
const CLOCK_THREAD_CPUTIME_ID = 3;
const RUSAGE_THREAD = 1;
const clock = new BigInt64Array(2);
const usage = new BigInt64Array(18);
/** The index of ru_nvcsw, "the number of times a context switch resulted due to a process voluntarily giving up". */
const SLEEPS = 16;

function now() {
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, clock) || getrusage(RUSAGE_THREAD, usage)) throw new Error('not Linux');
  const processor = Number(clock[0]) * 1e3 + Number(clock[1]) / 1e6;
  return { wall: performance.now(), processor, sleeps: Number(usage[SLEEPS]) };
}

/** What is too long for an event loop, in milliseconds. */
export const LONG = 5;

/** Of a function: how many of its calls computed for long, and how many slept, some of them for long. */
export class Figures {
  calls = 0;
  longComputes = 0;
  sleeps = 0;
  longSleeps = 0;

  reset() {
    this.calls = this.longComputes = this.sleeps = this.longSleeps = 0;
  }

  /**
   * @template T
   * @param {() => T} f
   */
  time(f) {
    const before = now();
    try {
      return f();
    } finally {
      this.#add(before, now());
    }
  }

  /** @param {Figures} others */
  include(others) {
    this.calls += others.calls;
    this.longComputes += others.longComputes;
    this.sleeps += others.sleeps;
    this.longSleeps += others.longSleeps;
  }

  /**
   * @param {ReturnType<typeof now>} before
   * @param {ReturnType<typeof now>} after
   */
  #add(before, after) {
    const slept = after.sleeps > before.sleeps;
    this.calls++;
    this.longComputes += Number(after.processor - before.processor > LONG);
    this.sleeps += Number(slept);
    this.longSleeps += Number(slept && after.wall - before.wall > LONG);
  }
}

/**
 * Times each call of the library from now on, wherever this thread makes it and waits for it.
 * @returns {Figures}
 */
export function meter() {
  const figures = new Figures();
  const { native } = createRequire(import.meta.url)('../lib/native.js');
  const { call } = native;
  /** @param {any[]} values */
  native.call = (...values) => figures.time(() => call(...values));
  return figures;
}
