// Defines a check and its finding, and runs a check within a time limit.
import { explainFault, type Fault } from './network-faults.js';
import type { Endpoint } from './site.js';

export type Finding<Value = unknown> =
  | { status: 'passed'; detail: string; value?: Value }
  | ({ status: 'failed' } & Fault)
  | { status: 'not_applicable'; detail: string };

/** One test of a server or of an ICE server. */
export interface Check<Subject extends { server: Endpoint }, Value = unknown> {
  /** Stable id, part of the `--json` output. */
  id: string;
  title: string;
  /** Returns the fault to report if the time limit ends before `run`. */
  late?(subject: Subject): Fault;
  /** Runs the check. An error that it throws is reported as a network fault. `signal` is aborted at the time limit. */
  run(subject: Subject, signal: AbortSignal): Promise<Finding<Value>>;
}

export const passed = <Value>(detail: string, value?: Value): Finding<Value> => ({
  status: 'passed',
  detail,
  ...(value === undefined ? {} : { value }),
});
export const failed = (detail: string, advice: string): Finding<never> => ({
  status: 'failed',
  detail,
  advice,
});
export const notApplicable = (detail: string): Finding<never> => ({
  status: 'not_applicable',
  detail,
});

/** The reason of a `signal` that is aborted at the time limit. */
export class TimeUp extends Error {}

/** Settles like the promise. Rejects with the reason of the signal if that is aborted first. */
export function orAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = () => reject(signal.reason);
    if (signal.aborted) give();
    signal.addEventListener('abort', give, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
  });
}

/** Extra time after the limit in which a check can still return its own finding. */
const SETTLE_MS = 500;

/** Runs a check. Ends soon after `limitMs`, or when `stop` is aborted, even if the check does not. */
export async function runCheck<
  Subject extends { server: Endpoint; ca?: string | undefined },
  Value,
>(
  check: Check<Subject, Value>,
  subject: Subject,
  { limitMs, stop }: { limitMs: number; stop: AbortSignal },
): Promise<Finding<Value>> {
  const limit = new AbortController();
  const abandon = new AbortController();
  let timer = setTimeout(() => {
    // Only now, so that a check on a busy machine also has this time.
    timer = setTimeout(() => abandon.abort(new TimeUp()), SETTLE_MS);
    limit.abort(new TimeUp());
  }, limitMs);
  try {
    const signal = AbortSignal.any([limit.signal, stop]);
    return await orAborted(AbortSignal.any([abandon.signal, stop]), check.run(subject, signal));
  } catch (error) {
    if (stop.aborted) return notApplicable('interrupted');
    // After the time limit, the check can fail with any error. The cause is still the time limit.
    const fault = limit.signal.aborted
      ? (check.late?.(subject) ?? {
          detail: `no answer within ${limitMs / 1000} s`,
          advice: `Something between this machine and ${subject.server.host} drops packets, or the server is overloaded. Check the firewalls and the log of the server.`,
        })
      : await orAborted(abandon.signal, explainFault(error, subject)).catch(() => ({
          detail: 'the connection failed',
          advice: 'Run the doctor again.',
        }));
    return { status: 'failed', ...fault };
  } finally {
    clearTimeout(timer);
  }
}
