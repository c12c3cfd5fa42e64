// Implements a proxy that drops or delays answers after the server has processed the request.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface FaultProxy {
  /** The address of the server through the proxy. WebSockets pass unchanged, unless the test handles upgrades. */
  url: string;
  /** Drops the next answers to a path. `statuses` contains the statuses of the dropped answers. */
  loseAnswers(path: string, times: number): { statuses: number[] };
  /** Delays every answer to a path until the returned function is called. */
  hold(path: string): () => void;
}

type Fault = (status: number) => Promise<'pass' | 'lose'>;

type Upgrade = (incoming: IncomingMessage, near: Socket, head: Buffer) => void;

/** Starts a proxy in front of a server. It stops at the end of the test. */
export async function startFaultProxy(serverUrl: string, upgrade?: Upgrade): Promise<FaultProxy> {
  const server = new URL(serverUrl);
  const faults = new Map<string, Fault>();

  const forward = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method = 'GET', url = '/', headers } = incoming;
    const onward = request(
      { host: server.hostname, port: server.port, method, path: url, headers },
      async (answer) => {
        const body = await answer.toArray();
        const fault = method === 'OPTIONS' ? undefined : faults.get(url);
        if ((await fault?.(answer.statusCode ?? 0)) === 'lose') {
          incoming.socket.destroy();
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 0, answer.rawHeaders).end(Buffer.concat(body));
      },
    );
    onward.on('error', () => incoming.socket.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  };

  const pass = (incoming: IncomingMessage, near: Socket, head: Buffer) => {
    const far = connect(Number(server.port), server.hostname);
    const lines = incoming.rawHeaders.flatMap((each, n, all) =>
      n % 2 === 0 ? `${each}: ${all[n + 1]}` : [],
    );
    far.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    far.write(head);
    near.pipe(far).pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  };

  const proxy = createServer(forward);
  proxy.on('upgrade', upgrade ?? pass);
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    loseAnswers(path, times) {
      const statuses: number[] = [];
      faults.set(path, async (status) => {
        if (statuses.length >= times) return 'pass';
        statuses.push(status);
        return 'lose';
      });
      return { statuses };
    },
    hold(path) {
      let release: () => void = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      faults.set(path, async () => {
        await released;
        return 'pass';
      });
      return () => release();
    },
  };
}
