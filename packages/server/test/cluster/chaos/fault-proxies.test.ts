// Tests the fault proxy: each fault as seen from both ends, and full recovery afterwards.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { eventually } from '@couplet/testkit/eventually';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { FaultProxies } from './fault-proxies.js';

const proxies = new FaultProxies();
afterAll(() => proxies.close());

let echo: { port: number; got: string[] };

beforeEach(async () => {
  const got: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      got.push(String(data));
      socket.write(data);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  echo = { port: (server.address() as { port: number }).port, got };
});

const openProxy = () => proxies.open(echo.port);

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

const answer = async (socket: Socket, text: string) => {
  socket.write(text);
  return String((await once(socket, 'data'))[0]);
};

test('it carries both ways', async () => {
  const proxy = await openProxy();
  expect(await answer(await dial(proxy.port), 'one')).toBe('one');
});

test('refuse: connections are reset and no other is taken, until it is mended', async () => {
  const proxy = await openProxy();
  const socket = await dial(proxy.port);
  await answer(socket, 'one');
  const reset = once(socket, 'error');
  await proxy.cut('refuse');
  expect((await reset)[0]).toMatchObject({ code: 'ECONNRESET' });
  await expect(dial(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await proxy.mend();
  expect(await answer(await dial(proxy.port), 'two')).toBe('two');
});

test('reset: connections are taken, and reset', async () => {
  const proxy = await openProxy();
  await proxy.cut('reset');
  const socket = connect(proxy.port, '127.0.0.1');
  expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ECONNRESET' });
  await proxy.mend();
  expect(await answer(await dial(proxy.port), 'two')).toBe('two');
});

test('black-hole: nothing comes through, old connection or new; when it is mended, everything does, late', async () => {
  const proxy = await openProxy();
  const old = await dial(proxy.port);
  await answer(old, 'one');
  await proxy.cut('black-hole');
  old.write('two');
  const fresh = await dial(proxy.port);
  fresh.write('three');
  // Over another way the same server answers: so what was to come first would be there by now.
  expect(await answer(await dial(echo.port), 'ping')).toBe('ping');
  expect(echo.got).toEqual(['one', 'ping']);
  const heard = Promise.all([once(old, 'data'), once(fresh, 'data')]);
  await proxy.mend();
  expect((await heard).map(([data]) => String(data))).toEqual(['two', 'three']);
});

test('black-hole: a client that hangs up meanwhile is seen to later, with what it had sent', async () => {
  const proxy = await openProxy();
  const socket = await dial(proxy.port);
  await answer(socket, 'one');
  await proxy.cut('black-hole');
  socket.end('two');
  await proxy.mend();
  await eventually(() => expect(echo.got).toEqual(['one', 'two']));
});

test('where an answer says that a server is, is rewritten, however it is cut', async () => {
  const proxy = await openProxy();
  await proxy.translate({ 41000: '42000' });
  const socket = await dial(proxy.port);
  let heard = '';
  socket.on('data', (data) => {
    heard += data;
  });
  socket.write('$5\r\n410');
  await eventually(() => expect(heard).toBe('$5\r\n'));
  socket.write('00\r\n+OK\r\n');
  await eventually(() => expect(heard).toBe('$5\r\n42000\r\n+OK\r\n'));
  heard = '';
  socket.write(':41000\r\n-MOVED 1 127.0.0.1:41000\r\n:41\r\n');
  const expected = ':42000\r\n-MOVED 1 127.0.0.1:42000\r\n:41\r\n';
  await eventually(() => expect(heard).toBe(expected));
});
