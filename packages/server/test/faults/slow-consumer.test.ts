// Clients that never read (contract §3, 4008) cost bounded memory and do not affect others.

import { startChild } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { exchangeMessages, type Peer, pairOfPeers } from '@couplet/testkit/peer';
import { expect, test } from 'vitest';

const READERS = 10;
const FRAME = JSON.stringify({ type: 'webrtc_offer', sdp: 'x'.repeat(50_000) });
const MIB = 1_048_576;

/** Sends until the peer is gone, with little data in flight. */
async function flood(sender: Peer): Promise<number> {
  let peerIsThere = true;
  const gone = sender.next('peer_disconnected').then(() => {
    peerIsThere = false;
  });
  let sent = 0;
  while (peerIsThere) {
    await new Promise<void>((resolve) => sender.socket.send(FRAME, () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
    sent += FRAME.length;
  }
  await gone;
  return sent;
}

test('clients that never read are closed with 4008, memory stays bounded, and a healthy pair is served', async ({
  annotate,
}) => {
  const { wsUrl, metric } = await startChild({
    MAX_BUFFERED_BYTES: '65536',
    MAX_MESSAGES_PER_SECOND: '10000000',
    MAX_BYTES_PER_SECOND: '10000000000',
  });
  const pair = await pairOfPeers(wsUrl, 'healthy');
  const before = await metric('process_resident_memory_bytes');
  const exchange = exchangeMessages(pair);
  const pairs: [Peer, Peer][] = [];
  for (let n = 0; n < READERS; n++) pairs.push(await pairOfPeers(wsUrl, `slow ${n}`));
  for (const [, reader] of pairs) reader.socket.pause();
  const sent = await Promise.all(pairs.map(([sender]) => flood(sender)));
  const grown = (await metric('process_resident_memory_bytes')) - before;
  await exchange.stop();
  const worstMs = exchange.worstMs();
  for (const [, reader] of pairs.slice(0, 2)) {
    // A client that reads again gets all earlier messages, and the close code.
    reader.socket.resume();
    expect((await reader.closed).code).toBe(4008);
  }
  // A client that does not read is dropped too.
  await eventually(async () => expect(await metric('couplet_connections')).toBe(READERS + 2));
  const total = sent.reduce((sum, bytes) => sum + bytes, 0);
  await annotate(
    `${READERS} slow consumers: ${(total / MIB).toFixed(0)} MiB sent, server grew by ${(grown / MIB).toFixed(0)} MiB, worst latency of a healthy pair ${worstMs.toFixed(0)} ms`,
  );
  // Kernel buffers have most of the data. The process may have MAX_BUFFERED_BYTES and one frame per client.
  expect(grown).toBeLessThan(64 * MIB);
  expect(exchange.exchanged).toBeGreaterThan(0);
});
