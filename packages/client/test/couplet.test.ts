// What Couplet checks before it asks the server, and what it does with the answers.
import { afterAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startServer } from '../../server/test/support/server.js';
import { Couplet, type CoupletOptions } from '../src/index.js';
import { FakePeerConnection } from './support/fake-peer-connection.js';

const server = await startServer();
afterAll(() => server.close());

const RTCPeerConnection = FakePeerConnection as unknown as NonNullable<
  CoupletOptions['RTCPeerConnection']
>;
const device = (more: Partial<CoupletOptions> = {}) =>
  new Couplet({ url: server.url, WebSocket, RTCPeerConnection, ...more });

/** A device that must not send a request. */
const silent = (more: Partial<CoupletOptions> = {}) =>
  device({ fetch: () => Promise.reject(new Error('a request was sent')), ...more });

test('a code is accepted as a person types it', async () => {
  const invite = await device().invite();
  const eastern = invite.code.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + +digit));
  const guest = await device().accept(`\u200f${eastern.slice(0, 3)}\u2011${eastern.slice(3)} `);
  const host = await invite.accepted;
  expect([host.state, guest.state]).toEqual(['connected', 'connected']);
  host.close();
  guest.close();
});

test.each(['12345', '1234567', '12345O', '', 'code'])(
  '%j is refused before any request',
  async (code) => {
    await expect(silent().accept(code)).rejects.toMatchObject({
      name: 'CoupletError',
      code: 'invalid_joinid',
      message: 'A code has 6 digits.',
    });
  },
);

test('a code has as many digits as the options say', async () => {
  await expect(silent({ joinCodeDigits: 8 }).accept('123456')).rejects.toMatchObject({
    code: 'invalid_joinid',
    message: 'A code has 8 digits.',
  });
});
