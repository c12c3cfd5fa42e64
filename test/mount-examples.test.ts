// Runs the examples that mount the server in Express and Fastify unchanged: one port and one shutdown for both.

import { pairDevices } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { describe, expect, test } from 'vitest';
import { start as startExpress } from '../examples/mount-express/server.js';
import { start as startFastify } from '../examples/mount-fastify/server.js';

describe.each([
  ['mount-express', startExpress],
  ['mount-fastify', startFastify],
] as const)('examples/%s', (_name, start) => {
  test('serves the application, and pairing and signaling below /couplet; both end with one close', async () => {
    const { port, close } = await start(0, { SQLITE_DB_PATH: ':memory:' });
    const origin = `http://localhost:${port}`;
    expect(await (await fetch(origin)).text()).toBe('an application of its own');
    expect((await fetch(`${origin}/api/rooms`, { method: 'POST' })).status).toBe(404);
    const { roomid, client1 } = await pairDevices(`${origin}/couplet`);
    const peer = await Peer.connect(`${origin.replace('http', 'ws')}/couplet`);
    await peer.join(roomid, client1);
    await close();
    // The peer reconnects after this code.
    expect((await peer.closed).code).toBe(1012);
    await expect(fetch(origin)).rejects.toThrow('fetch failed');
  });
});
