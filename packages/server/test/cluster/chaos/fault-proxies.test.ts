// The fault proxy: each fault as seen from both ends, and full recovery afterwards.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { eventually } from '@couplet/testkit/eventually';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { FaultProxies, type FaultProxy } from './fault-proxies.js';

const proxies = new FaultProxies();
afterAll(() => proxies.close());

let echo: { port: number; got: string[] };
let proxy: FaultProxy;

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
  proxy = await proxies.open(echo.port);
});

function dial(port = proxy.port): Socket {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  return socket;
}

const answer = async (socket: Socket, text: string) => {
  socket.write(text);
  return String((await once(socket, 'data'))[0]);
};

test.each([
  ['refuse', 'ECONNREFUSED'],
  ['reset', 'ECONNRESET'],
] as const)(
  '%s: open connections are reset, and new ones get %s, until the mend',
  async (how, code) => {
    const socket = dial();
    expect(await answer(socket, 'one')).toBe('one');
    const reset = once(socket, 'error');
    await proxy.cut(how);
    expect((await reset)[0]).toMatchObject({ code: 'ECONNRESET' });
    expect((await once(dial(), 'error'))[0]).toMatchObject({ code });
    await proxy.mend();
    expect(await answer(dial(), 'two')).toBe('two');
  },
);

test('black-hole: data of old and new connections, and a hang-up, arrive after the mend', async () => {
  const [old, leaving] = [dial(), dial()];
  expect(await answer(old, 'one')).toBe('one');
  expect(await answer(leaving, 'hello')).toBe('hello');
  await proxy.cut('black-hole');
  old.write('two');
  leaving.end('bye');
  const fresh = dial();
  fresh.write('three');
  // The same server answers over another connection, so the earlier data would have arrived by now.
  expect(await answer(dial(echo.port), 'ping')).toBe('ping');
  expect(echo.got).toEqual(['one', 'hello', 'ping']);
  const heard = Promise.all([once(old, 'data'), once(fresh, 'data')]);
  await proxy.mend();
  expect((await heard).map(([data]) => String(data))).toEqual(['two', 'three']);
  await eventually(() => expect(echo.got).toContain('bye'));
});

test('ports of other servers in an answer are rewritten, however the answer is cut', async () => {
  await proxy.translate({ 41000: '42000' });
  const socket = dial();
  let heard = '';
  socket.on('data', (data) => {
    heard += data;
  });
  socket.write('$5\r\n410');
  await eventually(() => expect(heard).toBe('$5\r\n'));
  socket.write('00\r\n+OK\r\n:41000\r\n-MOVED 1 127.0.0.1:41000\r\n:41\r\n');
  const expected = '$5\r\n42000\r\n+OK\r\n:42000\r\n-MOVED 1 127.0.0.1:42000\r\n:41\r\n';
  await eventually(() => expect(heard).toBe(expected));
});
