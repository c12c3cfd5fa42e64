// Performs every Redis operation of Couplet with two nodes and one pair, so that any refused command is found.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { call } from '@couplet/testkit/api';
import { eventually } from '@couplet/testkit/eventually';
import { Cast, play, type Site } from '@couplet/testkit/wire-stories';
import { expect } from 'vitest';

type Nodes = readonly [{ url: string }, { url: string }];

export async function exercise(nodes: Nodes): Promise<void> {
  const siteOf = ({ url }: { url: string }): Site => ({ url, wsUrl: url.replace('http', 'ws') });
  const sites = [siteOf(nodes[0]), siteOf(nodes[1])] as const;
  const cast = new Cast();
  await play(
    `a invites by r under k = 201; far: a invites by r = 201; far: b invites by r = 409;
    a checks r = 204; far: b accepts unknown = 404`,
    sites,
    cast,
  );
  const check = { joinid: cast.code('r'), client1: cast.device('a').id };
  const wait = { prefer: 'wait=20', 'idempotency-key': randomUUID() };
  const held = call(nodes[0].url, 'POST', '/api/rooms/check', check, wait);
  // Usually enough for the check to be held. Otherwise it finds the accepted code, and no wake is tested.
  await delay(100);
  await play('far: b accepts r under l = 200; b accepts r under l = 200', sites, cast);
  expect(await held).toMatchObject({ status: 200, body: { roomid: cast.room('r') } });
  await play(
    `far: r is found = 200; r is deleted = 200; c and d pair by s; c invites by t;
    far: purge c, d under m = deleted 1 1; s is found = 404;
    e and f pair by u; v joins u as e; far: w joins u as f; w told room_ready responder;
    v told room_ready initiator; v says x; w told x; y joins u = room_full;
    far: z joins u as e = room_joined; z told room_ready initiator; v closed 4001 replaced;
    w told peer_disconnected, room_ready responder; z leaves; w told peer_left; w hangs up`,
    sites,
    cast,
  );
  const asked = { roomid: cast.room('u'), client: cast.device('e').id };
  const keyed = { 'idempotency-key': randomUUID() };
  const answer = await call(nodes[0].url, 'POST', '/api/ice-servers', asked, keyed);
  expect(answer.status).toBeLessThan(500);
  for (const { url } of nodes) {
    expect((await call(url, 'GET', '/rooms')).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    // On a busy machine, a node may lose its lease for a moment.
    await eventually(async () => expect((await call(url, 'GET', '/readyz')).status).toBe(200));
  }
}
