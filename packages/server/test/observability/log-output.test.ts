// A log that cannot be written: with a failing descriptor, and with a server whose log reader ends.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { temporaryFolder } from '@couplet/testkit/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LogOutput } from '../../src/observability/log-output.js';
import { createLogger } from '../../src/observability/logger.js';

const failure = (code: string) => Object.assign(new Error(code), { code });

/** A descriptor that accepts at most `room` bytes per write, or fails. */
function descriptor(onLost: (lines: number) => void = () => {}) {
  const clock = new FakeClock();
  const state = {
    ...{ text: '', tries: 0, room: Infinity },
    fault: undefined as string | undefined,
    /** Writes that succeed before the fault. */
    faultAfter: 0,
  };
  const lost: number[] = [];
  const write = (bytes: Uint8Array) => {
    state.tries += 1;
    if (state.fault !== undefined && state.faultAfter-- <= 0) throw failure(state.fault);
    const taken = bytes.subarray(0, state.room);
    state.text += Buffer.from(taken).toString();
    return taken.length;
  };
  const output: LogOutput = new LogOutput(write, clock, (lines) => {
    lost.push(lines);
    onLost(lines);
  });
  output.on('error', (error) => expect.fail(String(error)));
  return { state, clock, output, lost };
}

describe('an output', () => {
  test.each([
    ['EAGAIN', 50],
    ['EPIPE', 1000],
    ['ENOSPC', 1000],
    ['EIO', 1000],
  ])('after %s, it tries again in %i ms and loses nothing', (code, ms) => {
    const { state, clock, output, lost } = descriptor();
    state.room = 3;
    output.write('first');
    output.write(' ü\n');
    clock.advance(9);
    expect(state.tries, 'lines of ten milliseconds are written together').toBe(0);
    clock.advance(1);
    expect([state.tries, state.text]).toEqual([3, 'first ü\n']);
    state.fault = code;
    // The first part of a line is written, and the rest before the next line.
    state.faultAfter = 1;
    output.write('second\n');
    clock.advance(10);
    output.write('third\n');
    expect(state.text).toBe('first ü\nsec');
    const { tries } = state;
    clock.advance(ms - 1);
    expect(state.tries, 'a failing descriptor is left alone meanwhile').toBe(tries);
    clock.advance(1);
    expect(state.tries).toBe(tries + 1);
    state.fault = undefined;
    clock.advance(ms);
    expect(state.text).toBe('first ü\nsecond\nthird\n');
    output.write('fourth\n');
    clock.advance(10);
    expect(state.text).toBe('first ü\nsecond\nthird\nfourth\n');
    expect([lost, clock.pending]).toEqual([[], 0]);
  });

  test('keeps one MiB and reports how many further lines were lost', () => {
    const { state, clock, output, lost } = descriptor();
    state.fault = 'EPIPE';
    const line = `${'x'.repeat(1023)}\n`;
    for (let n = 0; n < 1024; n++) output.write(line);
    output.write(line.repeat(3));
    output.write(line);
    clock.advance(60_000);
    expect(lost).toEqual([]);
    state.fault = undefined;
    clock.advance(1000);
    expect(state.text).toHaveLength(1_048_576);
    expect(lost).toEqual([4]);
    output.write('again\n');
    clock.advance(10);
    expect(state.text).toMatch(/x\nagain\n$/);
    expect(lost).toEqual([4]);
  });

  test('loses no line of a burst that can be written', () => {
    const { state, clock, output, lost } = descriptor();
    const line = `${'x'.repeat(1023)}\n`;
    for (let n = 0; n < 3000; n++) output.write(line);
    clock.advance(10);
    expect([state.text.length, lost]).toEqual([3000 * 1024, []]);
  });

  test('a flush tries to write at once, and also the line about lost lines', () => {
    const { state, clock, output, lost } = descriptor((lines) => output.write(`${lines} lost\n`));
    state.fault = 'EAGAIN';
    output.write(`${'x'.repeat(1_048_575)}\n`);
    output.write('too many\n');
    clock.advance(10);
    state.fault = undefined;
    output.flush();
    expect(state.text).toMatch(/x\n1 lost\n$/);
    expect([lost, clock.pending]).toEqual([[1], 0]);
  });

  test.each(['json', 'pretty'] as const)(
    'works as the destination of a log in %s format',
    async (logFormat) => {
      const { state, clock, output } = descriptor();
      const log = createLogger({ logLevel: 'info', logFormat }, output, false);
      log.info('first');
      await eventually(() => {
        clock.advance(10);
        expect(state.text).toMatch(/first.*\n$/);
      });
    },
  );

  test('as the destination of a log, it writes a fatal line at once', () => {
    const { state, output } = descriptor();
    const log = createLogger({ logLevel: 'info', logFormat: 'json' }, output, false);
    log.info('before');
    expect(state.text).toBe('');
    log.fatal('last');
    expect(state.text).toMatch(/before.*\n.*last.*\n$/);
  });
});

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

test.runIf(process.platform === 'linux')(
  'a server whose log has no reader continues, writes to a new reader, and ends with exit code 0',
  async () => {
    const cwd = temporaryFolder();
    const fifo = join(cwd, 'log');
    execFileSync('mkfifo', [fifo]);
    const openReader = () => openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    let reader = openReader();
    let text = '';
    const read = () => {
      const bytes = Buffer.alloc(65_536);
      try {
        text += bytes.toString('utf8', 0, readSync(reader, bytes));
      } catch (error) {
        expect(error).toMatchObject({ code: 'EAGAIN' });
      }
      return text;
    };
    const stdout = openSync(fifo, 'w');
    const env = { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0' };
    const stdio = ['ignore', stdout, 'inherit'] as const;
    const child = spawn(process.execPath, [MAIN, 'serve'], { cwd, env, stdio: [...stdio] });
    closeSync(stdout);
    const exited = once(child, 'exit');
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    const url = await eventually(() => {
      const found = /listening on (http:\/\/[^\s"]+)/.exec(read())?.[1];
      expect(found).toBeDefined();
      return found as string;
    });
    closeSync(reader);
    text = '';
    for (let n = 0; n < 5; n++) expect((await fetch(`${url}/none`)).status).toBe(404);
    reader = openReader();
    await eventually(() => expect(read().match(/"route":"none"/g)).toHaveLength(5));
    closeSync(reader);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  },
);
