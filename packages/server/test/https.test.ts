// couplet serve --https: the same server over HTTPS, with a certificate that it makes itself.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { get as secureGet } from 'node:https';
import { join } from 'node:path';
import { someDevice } from '@couplet/testkit/api';
import { startCommand } from '@couplet/testkit/command';
import { Peer } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

test('pages and signaling work over HTTPS and HTTP, and SIGTERM ends it', async () => {
  const cwd = temporaryFolder();
  const command = startCommand(['serve', '--sqlite', '--https'], { cwd });
  const plain = await command.listening;
  const address = () => /listening on (https:\/\/[^\s"]+)/.exec(command.output())?.[1];
  await expect.poll(address).toBeDefined();
  const secure = String(address());
  const ca = readFileSync(join(cwd, 'data/development-certificate.pem'));
  const statusOf = async (request: ReturnType<typeof get>) => {
    const [response]: IncomingMessage[] = (await once(request, 'response')) as [IncomingMessage];
    response?.resume();
    return response?.statusCode;
  };
  expect(await statusOf(secureGet(`${secure}/healthz`, { ca, agent: false }))).toBe(200);
  expect(await statusOf(get(`${plain}/healthz`, { agent: false }))).toBe(200);

  const roomId = someDevice();
  const one = await Peer.connect(secure.replace('https', 'wss'), { ca });
  const other = await Peer.connect(plain.replace('http', 'ws'));
  await one.join(roomId);
  await other.join(roomId);
  await one.next('room_ready');
  await other.next('room_ready');
  one.send({ type: 'webrtc_offer', sdp: 'v=0' });
  expect(await other.next('webrtc_offer')).toMatchObject({ sdp: 'v=0' });
  other.send({ type: 'webrtc_answer', sdp: 'v=0' });
  expect(await one.next('webrtc_answer')).toMatchObject({ sdp: 'v=0' });

  command.child.kill('SIGTERM');
  expect((await one.closed).code).toBe(1012);
  expect((await command.ended).code).toBe(0);
});
