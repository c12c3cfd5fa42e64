// What a check of the doctor is and finds, and how one is run so that it ends in time.
import { explainFault, type Fault } from './network-faults.js';
import type { Endpoint } from './site.js';

export type Finding<Value = unknown> =
  | { status: 'passed'; detail: string; value?: Value }
  | ({ status: 'failed' } & Fault)
  | { status: 'not_applicable'; detail: string };

/** One question to a server, about a subject at an address of the network. */
export interface Check<Subject extends { server: Endpoint }, Value = unknown> {
  /** Stable; `--json` shows it. */
  id: string;
  title: string;
  /** The finding where time runs out and `run` does not come to one of its own. */
  late?(subject: Subject): Fault;
  /** Answers the question; what it throws is explained as a fault of the network. `signal` tells that time is up. */
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

/** The reason of a `signal` whose time ran out. */
export class TimeUp extends Error {}

/** The promise, or the reason of the signal, whichever comes first. */
export function orAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = () => reject(signal.reason);
    if (signal.aborted) give();
    signal.addEventListener('abort', give, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
  });
}

/** What a check whose time is up still has to put what it saw into words. */
const SETTLE_MS = 500;

/** Runs a check; it ends soon after `limitMs`, or after `stop` is aborted, whatever the check does. */
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
  const timers = [
    setTimeout(() => limit.abort(new TimeUp()), limitMs),
    setTimeout(() => abandon.abort(new TimeUp()), limitMs + SETTLE_MS),
  ];
  try {
    const signal = AbortSignal.any([limit.signal, stop]);
    return await orAborted(AbortSignal.any([abandon.signal, stop]), check.run(subject, signal));
  } catch (error) {
    if (stop.aborted) return notApplicable('interrupted');
    // What was abandoned for lack of time fails in many ways: the time is what it was.
    const fault = limit.signal.aborted
      ? (check.late?.(subject) ?? {
          detail: `no answer within ${limitMs / 1000} s`,
          advice: `Something between here and ${subject.server.host} swallows what is sent, or the server is overloaded. Look at the firewalls and at the log of the server.`,
        })
      : await orAborted(abandon.signal, explainFault(error, subject)).catch(() => ({
          detail: 'the connection failed',
          advice: 'Run the doctor again.',
        }));
    return { status: 'failed', ...fault };
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}
