// The log: pino, JSON lines or pretty on a terminal. docs/operations.md §Logs is its rubric; nothing here may identify a pairing.
import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../settings/config.js';

export type { Logger } from 'pino';

const require = createRequire(import.meta.url);

/** Loads pino-pretty only where lines are to be pretty: a service, whose start is waited for, writes JSON. */
const prettyStream: typeof import('pino-pretty').build = (options) =>
  require('pino-pretty').build(options);

/**
 * Makes the log of one server.
 *
 * @param terminal - whether `destination` is a terminal; decides the format where the configuration says `auto`
 * @param writes - whether JSON lines go out one by one, or those of a turn together; then `flush()` writes what is left
 */
export function createLogger(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  destination: Writable,
  terminal: boolean,
  writes: 'per_line' | 'per_turn' = 'per_line',
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
    : writes === 'per_line'
      ? destination
      : oneWritePerTurn(destination);
  return pino({ level: config.logLevel, base: null, serializers: { err: describeError } }, stream);
}

/**
 * What is logged in one turn of the event loop is written at its end, at once: a system call per line would be a tenth
 * of a request's cost. A fatal line, the last that there may be, goes out with what came before it.
 */
function oneWritePerTurn(destination: Writable): DestinationStream & {
  flush(): void;
  flushSync(): void;
} {
  let lines = '';
  const flush = () => {
    const text = lines;
    lines = '';
    if (text !== '') destination.write(text);
  };
  return {
    write(line) {
      if (lines === '') setImmediate(flush);
      lines += line;
    },
    // pino's own names: the one for `log.flush()`, the other for what it does after a fatal line.
    flush,
    flushSync: flush,
  };
}

/** An error as the log shows it: kind, code and where; the message only of errors that cannot quote a request. */
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

/** The frames of a stack and nothing above them: a stack begins with the message, which may have any number of lines. */
function framesOf({ stack = '', message }: Error): string {
  const head = stack.indexOf(message);
  const below = head < 0 ? stack : stack.slice(head + message.length);
  const frames = below.split('\n').filter((line) => /^\s+at /.test(line));
  return frames.slice(0, MAX_FRAMES).join('\n');
}
