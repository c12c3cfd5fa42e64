// Sends hostile input for a while: answers are as documented, nothing leaks, and a healthy pair is not affected.
import { randomInt } from 'node:crypto';
import { startCommand } from '@couplet/testkit/command';
import { eventually } from '@couplet/testkit/eventually';
import { exchangeMessages, pairOfPeers } from '@couplet/testkit/peer';
import { scrape } from '@couplet/testkit/prometheus';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { httpCases, judgeHttp } from './http.js';
import { judgeMessages, messageCases } from './messages.js';
import { hangUp, judgeRest, restCases } from './rest.js';

/** Seconds for all properties together. */
const FUZZ_SECONDS = Number(process.env.FUZZ_SECONDS || 10);
/** Repeats the same inputs. */
const FUZZ_SEED = Number(process.env.FUZZ_SEED || randomInt(2 ** 31));

const report = (line: string) => process.stdout.write(`fuzz: ${line}\n`);

/** Runs a property on new inputs until its share of the time is up, and on ten at least. */
async function fuzz<T>(
  what: string,
  inputs: fc.Arbitrary<T>,
  share: number,
  holds: (input: T) => Promise<unknown>,
) {
  const end = performance.now() + FUZZ_SECONDS * share * 1000;
  const property = fc.asyncProperty(inputs, async (input) => void (await holds(input)));
  let runs = 0;
  do {
    await fc.assert(property, { seed: FUZZ_SEED + runs, numRuns: 10 });
    runs += 10;
  } while (performance.now() < end);
  report(`${runs} ${what}`);
}

/** Limits set out of reach of the fuzz, because each would hide the code behind it. */
const RAISED_LIMITS = {
  // Each X-Forwarded-For is a separate address, because the limit of failed guesses per address is not configurable.
  TRUST_PROXY: '1',
  MAX_FAILED_GUESSES_PER_MINUTE: '1000000',
  MAX_CONNECTIONS_PER_ADDRESS: '1000000',
  MAX_SOCKETS_PER_ADDRESS: '1000000',
  MAX_LOAD_PER_ADDRESS: '0',
  // The frames over the limit need this.
  MAX_MESSAGE_BYTES: '65536',
  MAX_MESSAGES_PER_SECOND: '10000000',
  MAX_BYTES_PER_SECOND: '10000000000',
  MAX_PENDINGS_PER_DEVICE: '1000000',
  MAX_PENDINGS_PER_ADDRESS: '1000000',
  REQUEST_TIMEOUT_SECONDS: '1',
};

/** Enough addresses that none of them runs out of guesses. */
const ADDRESSES = 65_536;
let requests = 0;
const nextAddress = () => {
  const n = requests++ % ADDRESSES;
  return `10.1.${n >> 8}.${n & 255}`;
};

/** Timers and sockets that a server may have in addition to a fresh one, for the connections of this test. */
const FEW = 10;

test(
  'every request, message and malformed byte gets its documented answer; nothing is left of them; a healthy pair loses no message',
  async () => {
    report(`seed ${FUZZ_SEED}, ${FUZZ_SECONDS} s; FUZZ_SEED and FUZZ_SECONDS set others`);
    // In a process of its own: a crash, an unhandled rejection or a leak beyond this heap must end the server, not the test.
    const { child, listening, ended } = startCommand(['serve', '--sqlite'], {
      env: {
        NODE_OPTIONS: '--max-old-space-size=96',
        SQLITE_DB_PATH: ':memory:',
        ...RAISED_LIMITS,
      },
    });
    const url = await listening;
    const wsUrl = url.replace('http', 'ws');
    const neighbors = exchangeMessages(await pairOfPeers(wsUrl, 'neighbors'));
    const resources = async (type: string) => {
      const { value } = await scrape(url);
      return value('nodejs_active_resources', { type }) ?? 0;
    };
    const timers = await resources('Timeout');

    await fuzz('batches of REST requests', restCases, 0.35, (cases) =>
      Promise.all(cases.map((one) => judgeRest(url, one, nextAddress()))),
    );
    await fuzz('sequences of messages', messageCases, 0.35, (cases) => judgeMessages(wsUrl, cases));
    const port = Number(new URL(url).port);
    await fuzz('connections of bytes', httpCases, 0.3, (one) => judgeHttp(port, one));

    hangUp();
    // Sockets that were just reset or half-closed may still be closing.
    await eventually(async () => {
      expect(await resources('TCPSocketWrap')).toBeLessThanOrEqual(FEW);
      expect(await resources('Timeout')).toBeLessThanOrEqual(timers + FEW);
    });
    const { value } = await scrape(url);
    expect(value('couplet_connections')).toBe(2);
    expect(value('couplet_live_rooms')).toBe(1);
    expect(value('couplet_waiting_checks')).toBe(0);
    report(`neighbors: ${neighbors.exchanged} exchanges, the slowest ${neighbors.worstMs()} ms`);
    expect(neighbors.exchanged).toBeGreaterThan(FUZZ_SECONDS);
    await neighbors.stop();
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await ended;
    const errors = stdout.match(/^.*"level":[56]0.*$/gm) ?? [];
    expect({ code, errors, stderr }).toEqual({ code: 0, errors: [], stderr: '' });
  },
  FUZZ_SECONDS * 1000 + 300_000,
);
