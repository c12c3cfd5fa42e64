// Creates the log with pino: JSON lines, or readable text on a terminal. No line may identify a pairing (docs/operations.md, "Logs").
import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import type { Config } from '../settings/config.js';

export type { Logger } from 'pino';

const require = createRequire(import.meta.url);

/** Loads pino-pretty only if it is used, because it delays the start. */
const prettyStream: typeof import('pino-pretty').build = (options) =>
  require('pino-pretty').build(options);

/**
 * Creates the log of one server.
 *
 * @param terminal - whether `destination` is a terminal; decides the format if `logFormat` is `auto`
 */
export function createLogger(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  destination: Writable,
  terminal: boolean,
): Logger {
  const pretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && terminal);
  const stream = pretty
    ? prettyStream({
        destination,
        colorize: terminal,
        ignore: 'pid,hostname',
        singleLine: true,
        sync: true,
      })
    : destination;
  return pino({ level: config.logLevel, base: null, serializers: { err: describeError } }, stream);
}

/** Returns the type, code and stack of an error for the log. A SyntaxError loses its message because it can quote a request. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error instanceof SyntaxError ? {} : { message: error.message }),
    stack: framesOf(error),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

const MAX_FRAMES = 7;

/** Returns the frames of a stack without the message above them, which may have several lines. */
function framesOf({ stack = '', message }: Error): string {
  const head = stack.indexOf(message);
  const below = head < 0 ? stack : stack.slice(head + message.length);
  const frames = below.split('\n').filter((line) => /^\s+at /.test(line));
  return frames.slice(0, MAX_FRAMES).join('\n');
}
