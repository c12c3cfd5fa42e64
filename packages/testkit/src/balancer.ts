// Balances the connections of a free loopback port over servers, in turns.
import { startTcpProxy } from './tcp-proxy.js';

export interface Balancer {
  url: string;
  close(): Promise<void>;
}

export async function startBalancer(urls: readonly string[]): Promise<Balancer> {
  let count = 0;
  const { port, close } = await startTcpProxy(() =>
    Number(new URL(urls[count++ % urls.length] as string).port),
  );
  return { url: `http://127.0.0.1:${port}`, close };
}
