// Fuzzes the HTTP port: for any bytes, each answer is a documented one.
import { REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import { ANSWER_HEADERS } from '../../src/http/errors.js';
import { type RawAnswer, RawSocket, readAnswers } from '../support/raw-http.js';
import type { HttpCase } from './http-arbitrary.js';

/** Sends the bytes and checks every answer. */
export async function judgeHttp(
  port: number,
  { requests: sent, cuts, ending }: HttpCase,
): Promise<void> {
  const raw = new RawSocket(port);
  try {
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
  } finally {
    raw.destroy();
  }
}

/** If the requests may include a HEAD, it cannot be seen from outside which answers have a body. */
function judgeStatuses(received: Buffer): void {
  const lines = received.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) /g);
  for (const [, status] of lines) {
    if (Number(status) === 500) throw new Error(received.toString('latin1'));
  }
}

/** Documented answers that are not JSON: the page, the upgrade, the empty ones. */
function judgeAnswer({ status, headers, body }: RawAnswer): void {
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
