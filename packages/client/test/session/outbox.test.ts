// Tests the limits of sending, and drained.
import { expect, test } from 'vitest';
import { CoupletError } from '../../src/errors.js';
import { DRAINED_BYTES, Outbox } from '../../src/session/outbox.js';
import { FakeChannel } from '../support/fake-peer-connection.js';

function outbox(maxMessageSize?: number) {
  const channel = new FakeChannel();
  channel.readyState = 'open';
  const sctp = maxMessageSize === undefined ? null : { maxMessageSize };
  const box = new Outbox(
    { sctp } as RTCPeerConnection,
    channel as EventTarget as unknown as RTCDataChannel,
  );
  return { box, channel };
}

test('the largest message is the limit of the peer, or the default', () => {
  expect(outbox(262_144).box.maxMessageBytes).toBe(262_144);
  expect(outbox(Number.POSITIVE_INFINITY).box.maxMessageBytes).toBe(Number.POSITIVE_INFINITY);
  expect(outbox().box.maxMessageBytes).toBe(65_536);
});

test('the size of a message is its bytes, of a text its UTF-8 bytes', () => {
  const { box } = outbox(6);
  const fitting = ['', '123456', 'äöü', '€€', '😀a', new Uint8Array(6), new ArrayBuffer(6)];
  for (const data of fitting) box.send(data);
  const tooLarge = ['1234567', 'äöü1', '€€€', new Uint8Array(7), new ArrayBuffer(7)];
  for (const data of tooLarge) {
    expect(() => box.send(data)).toThrow(expect.objectContaining({ code: 'too_large' }));
  }
});

test.each([[{}], [null], [undefined], [5], [new Blob(['x'])]])(
  '%j is not sent, and the error names the accepted types',
  (data) => {
    expect(() => outbox().box.send(data as never)).toThrow(
      expect.objectContaining({
        code: 'invalid_argument',
        message: `Expected text or bytes, got ${typeof data}.`,
      }),
    );
  },
);

test.each([
  ['closes', 'not_connected'],
  ['is dropped', 'closed'],
  ['the application no longer waits for', 'aborted'],
] as const)('a channel that %s drains no more', async (how, code) => {
  const { box, channel } = outbox();
  channel.bufferedAmount = 2 * DRAINED_BYTES;
  const abort = new AbortController();
  const drained = box.drained(abort.signal);
  if (how === 'closes') {
    channel.readyState = 'closed';
    box.check();
  } else if (how === 'is dropped') box.check(new CoupletError('closed'));
  else abort.abort();
  await expect(drained).rejects.toMatchObject({ code });
  box.check(new CoupletError('closed'));
  channel.readyState = 'closed';
  await expect(box.drained()).rejects.toMatchObject({ code: 'not_connected' });
  await expect(box.drained(AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
});
