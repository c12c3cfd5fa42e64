// Captures the log of a server under test: every line as written, and the whole text for searches.
import { Writable } from 'node:stream';
import { createLogger, type Logger } from '../../src/observability/logger.js';

export type LogLine = { level: number; time: number; msg: string } & Record<string, unknown>;

export interface CapturedLog {
  log: Logger;
  /** Everything written, unchanged. */
  text(): string;
  /** The lines, if the format is JSON. */
  lines(): LogLine[];
}

/** Creates a log at the lowest level. */
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
