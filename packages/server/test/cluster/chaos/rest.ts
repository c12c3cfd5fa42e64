// Uses the rooms API as a careful device does: a key for each request, which is repeated on any server until it is answered.
import type { Operation } from './history.js';
import type { Random } from './random.js';
import { Backoff, type World } from './world.js';

export interface Wish {
  what: Operation;
  code: string;
  device: string;
  /** The room to ask for, of a `get`. */
  room?: string;
  /** Seconds that a check may be held. */
  wait?: number;
}

export interface Reply {
  status: number;
  body: Record<string, unknown> | undefined;
}

/** Share of answers that are lost because the client hangs up. */
const LOST = 0.08;
/** Share of requests that are repeated although they were answered. */
const REPEATED = 0.1;
const ANSWER_MS = 2500;

const SECONDS_OF_A_DAY = 86_400;

/** Repeats a request until it has a final answer, or the run is over. */
export async function ask(
  world: World,
  random: Random,
  address: string,
  wish: Wish,
): Promise<Reply | undefined> {
  const op = world.nextOp();
  const key = world.newId();
  const attempt = () => once(world, random, { op, key, address, wish });
  const backoff = new Backoff(random);
  while (!world.over) {
    const reply = await attempt();
    if (reply && isFinal(reply)) {
      if (wish.what !== 'get' && random.chance(REPEATED)) await attempt();
      return reply;
    }
    await backoff.failed();
  }
  return undefined;
}

const isFinal = ({ status, body }: Reply) =>
  status < 500 && status !== 429 && status !== 408 && body?.error !== 'request_in_progress';

async function once(
  world: World,
  random: Random,
  { op, key, address, wish }: { op: number; key: string; address: string; wish: Wish },
): Promise<Reply | undefined> {
  const { number, url } = world.address(random);
  const { what, code, device, wait = 0 } = wish;
  const patience = random.chance(LOST) ? random.between(0, 30) : ANSWER_MS + wait * 1000;
  world.history.add({ kind: 'asked', op, what, code, device, node: number });
  try {
    const { path, ...request } = requestOf(wish);
    const response = await fetch(url + path, {
      ...request,
      headers: {
        'x-forwarded-for': address,
        ...(request.body === null
          ? {}
          : { 'content-type': 'application/json', 'idempotency-key': key }),
        ...(wait > 0 ? { prefer: `wait=${wait}` } : {}),
      },
      signal: AbortSignal.timeout(Math.ceil(patience)),
    });
    const text = await response.text();
    const reply = { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
    world.history.add({ kind: 'answered', op, ...reply });
    return reply;
  } catch {
    // Refused, cut off, or not waited for. The next answer shows what the server did.
    world.history.add({ kind: 'lost', op });
    return undefined;
  }
}

function requestOf({ what, code, device, room = '' }: Wish) {
  const post = (path: string, body: object) => ({
    path,
    method: 'POST',
    body: JSON.stringify(body),
  });
  switch (what) {
    case 'create': {
      const body = { joinid: code, client1: device, expiresInSeconds: SECONDS_OF_A_DAY };
      return post('/api/rooms', body);
    }
    case 'accept':
      return post('/api/rooms/accept', { joinid: code, client2: device });
    case 'check':
      return post('/api/rooms/check', { joinid: code, client1: device });
    case 'purge':
      return post('/api/user/purge', { deviceId: device });
    case 'get':
      return { path: `/api/rooms?roomid=${room}`, method: 'GET', body: null };
  }
}
