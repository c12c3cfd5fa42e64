// The log: pino, JSON lines or pretty on a terminal. docs/operations.md §Logs is its rubric; nothing here may identify a pairing.
import type { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import { build as prettyStream } from 'pino-pretty';
import type { Config } from './config.js';

export type { Logger } from 'pino';

/**
 * Makes the log of one server.
 *
 * @param terminal - whether `destination` is a terminal; decides the format where the configuration says `auto`
 */
export function createLogger(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  destination: Writable,
  terminal: boolean,
): Logger {
  const pretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && terminal);
  const stream = pretty
    ? prettyStream({ destination, colorize: terminal, ignore: 'pid,hostname', sync: true })
    : destination;
  return pino({ level: config.logLevel, base: null, serializers: { err: describeError } }, stream);
}

/** An error as the log shows it: kind, code and where; the message only of errors that cannot quote a request. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error instanceof SyntaxError ? {} : { message: error.message }),
    stack: error.stack?.split('\n').slice(1, 8).join('\n'),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
