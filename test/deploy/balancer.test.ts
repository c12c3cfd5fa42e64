// Tests how deploy/Caddyfile.cluster in real Caddy handles requests.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { call } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { startBalancer } from './cluster.js';

const folder = temporaryFolder();

describeWith(['caddy'], 'Caddy as a balancer', () => {
  /** A server that is ready and records other requests: it answers, or closes the connection after reading. */
  async function fakeNode(hangsUp: boolean) {
    const seen: { method: string | undefined; headers: IncomingHttpHeaders }[] = [];
    const server: Server = createServer((request, response) => {
      if (request.url === '/readyz') {
        // With ALLOWED_HOSTS, a node answers 403 for any other name.
        response.statusCode = request.headers.host === 'localhost' ? 200 : 403;
        return void response.end();
      }
      request.resume().once('end', () => {
        seen.push({ method: request.method, headers: request.headers });
        if (hangsUp) request.socket.destroy();
        else response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
  }

  async function behindCaddy(hangsUp: boolean) {
    const fakes = [await fakeNode(hangsUp), await fakeNode(hangsUp)];
    const { url, stop } = await startBalancer(folder, fakes);
    onTestFinished(stop);
    return { url, seen: () => fakes.flatMap(({ seen }) => seen) };
  }

  test('a POST that a node has read is not sent to a second node', async () => {
    const { url, seen } = await behindCaddy(true);
    expect(await call(url, 'POST', '/api/rooms', {})).toMatchObject({ status: 503 });
    expect(seen()).toHaveLength(1);
  });

  test('a GET that a node has read is sent to a second node', async () => {
    const { url, seen } = await behindCaddy(true);
    expect(await call(url, 'GET', '/api/rooms')).toMatchObject({ status: 503 });
    expect(seen().length).toBeGreaterThan(1);
  });

  test('while no node is available, the answer is 503 in JSON', async () => {
    const { url, stop } = await startBalancer(folder, [{ url: 'http://127.0.0.1:1' }]);
    onTestFinished(stop);
    const answer = await call(url, 'GET', '/api/rooms?roomid=x');
    expect(answer).toMatchObject({ status: 503, body: { error: 'unavailable' } });
    expect(answer.headers.get('retry-after')).toBe('2');
  });

  test('the node gets the client’s address, and not the address that the client claims', async () => {
    const { url, seen } = await behindCaddy(false);
    const claims = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'gopher' };
    await call(url, 'GET', '/', undefined, claims);
    expect(seen()[0]?.headers).toMatchObject({
      host: new URL(url).host,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    });
  });
});
