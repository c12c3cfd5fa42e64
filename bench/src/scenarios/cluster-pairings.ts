// Sequential pairings by the conductor itself, to count their Redis commands and the memory that they leave there.
import type { RunningCluster } from '../conductor/cluster.js';

const AT_ONCE = 50;

// Devices have UUIDs, as in the apps.
const device = (n: number, side: string) =>
  `0D9C4F0E-6E0B-4D0B-${side}B7C-${String(n).padStart(12, '0')}`;
const joinid = (n: number) => String(n).padStart(6, '0');
/** Each device has its own address, in the header that the balancer sets. */
const from = (n: number, side: string) => ({
  'x-forwarded-for': `10.${Number(side) * 16 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`,
});

/** Steps of pairing number n; the first device is at the first node, the second at the last. */
export function pairingSteps({ nodes }: RunningCluster) {
  const [first = 0, second = 0] = [nodes[0]?.port, nodes.at(-1)?.port];
  const create = (n: number, headers = {}) =>
    post(
      first,
      '',
      { joinid: joinid(n), client1: device(n, '9'), expiresInSeconds: 600 },
      { ...from(n, '9'), ...headers },
      201,
    );
  const check = (n: number, right: number, headers = {}) =>
    post(
      first,
      '/check',
      { joinid: joinid(n), client1: device(n, '9') },
      { ...from(n, '9'), ...headers },
      right,
    );
  const accept = (n: number) =>
    post(second, '/accept', { joinid: joinid(n), client2: device(n, '8') }, from(n, '8'), 200);
  return { create, check, accept };
}

/** Create, check, accept, check; with `held`, one check that waits for the accept. */
export async function pairOnce(cluster: RunningCluster, n: number, held: boolean): Promise<void> {
  const { create, check, accept } = pairingSteps(cluster);
  await create(n);
  if (!held) await check(n, 204);
  const answered = held ? check(n, 200, { prefer: 'wait=20' }) : undefined;
  // The check must be held before the accept arrives.
  if (held) await new Promise((resolve) => setTimeout(resolve, 30));
  await accept(n);
  await (answered ?? check(n, 200));
}

/** Does this for 0…count-1, a few at a time. */
export async function forEach(count: number, work: (n: number) => Promise<void>): Promise<void> {
  for (let start = 0; start < count; start += AT_ONCE) {
    const portion = Math.min(AT_ONCE, count - start);
    await Promise.all(Array.from({ length: portion }, (_, n) => work(start + n)));
  }
}

async function post(port: number, path: string, body: object, headers: object, right: number) {
  const answer = await fetch(`http://127.0.0.1:${port}/api/rooms${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  await answer.text();
  if (answer.status !== right) throw new Error(`${path} answered ${answer.status}, not ${right}`);
}
