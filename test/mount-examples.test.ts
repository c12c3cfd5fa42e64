// Runs the examples that mount the server in Express and Fastify unchanged: one port and one shutdown for both.

import { pairDevices } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { describe, expect, onTestFinished, test } from 'vitest';
import { start as startExpress } from '../examples/mount-express/server.js';
import { start as startFastify } from '../examples/mount-fastify/server.js';

describe.each([
  ['mount-express', startExpress],
  ['mount-fastify', startFastify],
] as const)('examples/%s', (_name, start) => {
  const started = async () => {
    const { port, close } = await start(0, { SQLITE_DB_PATH: ':memory:' });
    return { origin: `http://localhost:${port}`, close };
  };

  test('serves the application, and pairing and signaling below /couplet', async () => {
    const { origin, close } = await started();
    onTestFinished(close);
    expect(await (await fetch(origin)).text()).toBe('an application of its own');
    expect((await fetch(`${origin}/api/rooms`, { method: 'POST' })).status).toBe(404);
    const { roomid, client1, client2 } = await pairDevices(`${origin}/couplet`);
    for (const deviceId of [client1, client2]) {
      const peer = await Peer.connect(`${origin.replace('http', 'ws')}/couplet`);
      peer.send({ type: 'join_room', roomId: roomid, deviceId });
      await peer.next('room_joined');
    }
  });

  test('closes both: peers get a close code to reconnect, and the port is free', async () => {
    const { origin, close } = await started();
    const peer = await Peer.connect(`${origin.replace('http', 'ws')}/couplet`);
    await close();
    expect((await peer.closed).code).toBe(1012);
    await expect(fetch(origin)).rejects.toThrow('fetch failed');
  });
});
