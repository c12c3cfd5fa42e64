// Fuzzes the HTTP port: for any bytes, each answer is a documented one.
import { REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import { ANSWER_HEADERS } from '../../src/http/errors.js';
import type { HttpCase, OrderCase } from './http-arbitrary.js';
import { type RawResponse, readAnswers } from './raw-answers.js';
import { RawSocket } from './raw-socket.js';

/** Opens a bare connection for a test, and destroys it afterwards. */
async function onSocket(port: number, use: (raw: RawSocket) => Promise<unknown>): Promise<void> {
  const raw = new RawSocket(port);
  await use(raw).finally(() => raw.destroy());
}

/** Sends the bytes and checks every answer. */
export const judgeHttp = (port: number, { requests: sent, cuts, ending }: HttpCase) =>
  onSocket(port, async (raw) => {
    await raw.write(Buffer.concat(sent), cuts);
    if (ending === 'reset') return void raw.socket.resetAndDestroy();
    if (ending === 'half-close') raw.socket.end();
    // A connection that sends nothing gets an answer or a timeout error.
    await raw.until((received) => ending === 'silence' && received.includes('\r\n\r\n'));
    if (ending === 'silence') {
      raw.socket.end();
      await raw.until();
    }
    const mayBeHead = Buffer.concat(sent).includes('HEAD');
    if (mayBeHead) return judgeStatuses(raw.received);
    for (const answer of readAnswers(raw.received)) judgeAnswer(answer);
  });

/** If the requests may include a HEAD, it cannot be seen from outside which answers have a body. */
function judgeStatuses(received: Buffer): void {
  const lines = received.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) /g);
  for (const [, status] of lines) {
    if (Number(status) === 500) throw new Error(received.toString('latin1'));
  }
}

/** Documented answers that are not JSON: the page, the upgrade, the empty ones. */
function judgeAnswer({ status, headers, body }: RawResponse): void {
  const described = `${status} ${body.slice(0, 200)}`;
  if (status === 101 || (status === 204 && body === '')) return;
  for (const [name, value] of Object.entries(ANSWER_HEADERS)) {
    if (headers.get(name) !== value) throw new Error(`without ${name}: ${described}`);
  }
  const type = headers.get('content-type') ?? '';
  if (status === 200) {
    if (/^text\/(html|plain); charset=utf-8$/.test(type) && body.includes('is running')) return;
    JSON.parse(body);
    return;
  }
  if (!type.startsWith('application/json')) throw new Error(`not JSON: ${type} ${described}`);
  const { error } = JSON.parse(body) as { error: RestErrorCode };
  if (REST_ERRORS[error]?.status !== status || error === 'internal_error') {
    throw new Error(`not as in the table: ${described}`);
  }
}

export const judgeSmuggling = (port: number, bytes: Buffer) =>
  onSocket(port, async (raw) => {
    await raw.write(bytes);
    await raw.until();
    const answers = readAnswers(raw.received);
    const [only] = answers;
    if (answers.length !== 1 || only?.status !== 400) {
      throw new Error(`answered ${answers.map(({ status }) => status)}: ${raw.received}`);
    }
    judgeAnswer(only);
  });

/** Each request is answered once, in the order of sending. */
export const judgeOrder = (port: number, { bytes, cuts, statuses, last }: OrderCase) =>
  onSocket(port, async (raw) => {
    await raw.write(bytes, cuts);
    // A WebSocket would stay open.
    await raw.until((received) => received.includes('"type":"connected"'));
    const answers = readAnswers(raw.received);
    const got = answers.map(({ status }) => status);
    const [end] = got.slice(-1);
    if (got.slice(0, -1).join() !== statuses.join() || !last.includes(end ?? 0)) {
      throw new Error(`expected ${statuses}, ${last.join(' or ')}; answered ${got}`);
    }
    for (const answer of answers) judgeAnswer(answer);
  });
