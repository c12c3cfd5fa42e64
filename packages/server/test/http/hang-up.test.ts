// A client that disconnects during its request: nothing is logged.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { captureLog } from '../support/captured-log.js';

test('a client that disconnects during its body causes neither an error nor a line for its request', async () => {
  const { log, lines } = captureLog();
  const server = await startServer({}, { log });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const arrived = once(server.app.server, 'request');
  socket.write(
    'POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  );
  const [, response] = (await arrived) as [IncomingMessage, ServerResponse];
  const over = once(response, 'close');
  socket.resetAndDestroy();
  await over;
  await server.close();
  expect(lines().filter(({ level, route }) => level >= 40 || route)).toEqual([]);
});
