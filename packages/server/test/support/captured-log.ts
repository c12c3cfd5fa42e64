// The log of a server under test: every line as it was written, and as a whole to search.
import { Writable } from 'node:stream';
import { createLogger, type Logger } from '../../src/observability/logger.js';

export type LogLine = { level: number; time: number; msg: string } & Record<string, unknown>;

export interface CapturedLog {
  log: Logger;
  /** Everything written, in the form in which it was written. */
  text(): string;
  /** The lines, where the form is JSON. */
  lines(): LogLine[];
}

/** Makes a log at its most talkative. */
export function captureLog(terminal = false): CapturedLog {
  const written: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  const text = () => written.join('');
  return {
    log: createLogger({ logLevel: 'debug', logFormat: 'auto' }, destination, terminal),
    text,
    lines: () =>
      text()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  };
}
