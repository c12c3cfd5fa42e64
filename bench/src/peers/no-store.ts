// Couplet with a store of a few lines, which keeps pairings in a map: the most that any store could make possible.
import { buildApp, type PairingStore, parseConfig } from '@couplet/server';
import { backlog, endWithConductor } from './http-peer.js';

const pendings = new Map<string, { client1: string; expiresAt: number; roomId?: string }>();
const unused = () => Promise.reject(new Error('no request of the benchmark needs this'));

const store: PairingStore = {
  async create({ joinCode, client1, expiresAt, secret }) {
    pendings.set(joinCode, { client1, expiresAt });
    return { kind: 'created', expiresAt, secret };
  },
  async accept({ joinCode, roomId, secret }) {
    const pending = pendings.get(joinCode);
    if (pending === undefined) return { kind: 'not_found_or_expired' };
    pending.roomId = roomId;
    return { kind: 'accepted', roomId, secret };
  },
  async check(joinCode, client1) {
    const pending = pendings.get(joinCode);
    if (pending?.client1 !== client1) return { kind: 'not_found_or_expired' };
    const { roomId, expiresAt } = pending;
    if (roomId === undefined) return { kind: 'waiting', expiresAt };
    pendings.delete(joinCode);
    return { kind: 'collected', roomId };
  },
  cancel: unused,
  findRoom: unused,
  prove: unused,
  deleteRoom: unused,
  purge: unused,
  setPushTarget: unused,
  claimPush: unused,
  forgetPushTarget: unused,
  firstTime: unused,
  sweep: async () => ({ pendings: 0, rooms: 0 }),
  counts: async () => ({ pendings: pendings.size, rooms: 0, idempotencyRecords: 0 }),
  probe: async () => {},
  onChange() {},
  close: async () => {},
};

const config = parseConfig(process.env);
const app = await buildApp(config, { store, direct: true });
endWithConductor();
await app.listen({ port: config.port, host: config.host, backlog: backlog() });
