import { ArawnError } from 'arawn';

/** An error of this package, of the shape of the library's. */
export const failure = (code, error, details = {}) => new ArawnError({ error, code, details });

/** The reply that the library would give for an error. */
export function replyOf(error) {
  if (error instanceof ArawnError) {
    return { status: 'error', error: error.message, code: error.code, details: error.details };
  }
  return { status: 'error', error: String(error?.message ?? error), code: 'job_failed', details: {} };
}

export const thrownBy = ({ error, code, details }) => new ArawnError({ error, code, details });

/** A promise, or `queue_unavailable` where it takes longer. `abandoned` is called before that error is thrown. */
export async function within(timeout_ms, promise, abandoned) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      abandoned();
      reject(failure('queue_unavailable', `the queue has not answered within ${timeout_ms} ms`, { timeout_ms }));
    }, timeout_ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
