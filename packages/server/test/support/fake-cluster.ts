// The shared parts of a cluster in memory (store, leases, node channels), which tests can slow, cut off or empty.
import type { Clock } from '../../src/base/clock.js';
import { Unavailable } from '../../src/base/failures.js';
import type { Publisher } from '../../src/signaling/cluster/acknowledged-streams.js';
import type { LeaseRegistry, Leases } from '../../src/signaling/cluster/node-lease.js';
import {
  absentRecord,
  decodeRecord,
  encodeRecord,
  type RoomRecord,
  type RoomRecordStore,
  type SetOutcome,
} from '../../src/signaling/cluster/room-record.js';

export type Call = 'read' | 'set' | 'claim' | 'renew' | 'release' | 'publish';

/** The fate of a call: a `lost` call was carried out, but its answer never came. */
export type Fate = 'fine' | 'refused' | 'lost';

/** How one node reaches the shared parts. */
export interface Link {
  store: RoomRecordStore;
  leases: LeaseRegistry;
  publisher: Publisher;
  /** Called before every call is carried out; by default all calls succeed. */
  fate: (call: Call) => Fate;
  /** Receives what is sent to this node; undefined if it does not listen. */
  receive: ((text: string) => void) | undefined;
  /** Resolves before a call is carried out. */
  delay: () => Promise<void>;
  /** Number of calls in progress. */
  calling: number;
}

export const oneTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

export class FakeCluster {
  records = new Map<string, string>();
  leases = new Map<string, number>();
  /** No new room is created. */
  isFull = false;
  readonly #links = new Map<string, Link>();
  readonly #clock: Clock;
  /** Number of calls so far. */
  calls = 0;
  /** Batches in transit. */
  travelling = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  link(processId: string): Link {
    const call = async <T>(name: Call, effect: () => T): Promise<T> => {
      const fate = link.fate(name);
      this.calls += 1;
      if (fate === 'refused') throw new Unavailable(new Error('cannot be reached'));
      link.calling += 1;
      try {
        await link.delay();
        const result = effect();
        await link.delay();
        if (fate === 'lost') throw new Unavailable(new Error('no answer'));
        return result;
      } finally {
        link.calling -= 1;
      }
    };
    const link: Link = {
      fate: () => 'fine',
      receive: undefined,
      delay: oneTurn,
      calling: 0,
      store: {
        read: (roomId) => call('read', () => this.record(roomId)),
        compareAndSet: (expected, next, deadline, isNew) =>
          call('set', () => this.#set(expected, next, deadline, isNew)),
        list: () => call('read', () => [...this.records.values()].map(decodeRecord)),
      },
      leases: {
        hold: (id, ttlMs, isNew) =>
          call(isNew ? 'claim' : 'renew', () => {
            this.#expire();
            return isNew || this.leases.has(id) ? this.#lease(id, ttlMs) : this.#leases(0);
          }),
        release: (id) => call('release', () => void this.leases.delete(id)),
      },
      publisher: {
        publish: (to, text) =>
          call('publish', () => {
            if (this.#links.get(to)?.receive === undefined) return false;
            this.travelling += 1;
            void oneTurn().then(() => {
              this.travelling -= 1;
              this.#links.get(to)?.receive?.(text);
            });
            return true;
          }),
      },
    };
    this.#links.set(processId, link);
    return link;
  }

  record(roomId: string): RoomRecord {
    const text = this.records.get(roomId);
    return text === undefined ? absentRecord(roomId) : decodeRecord(text);
  }

  #set(expected: number, next: RoomRecord, deadline: number, isNew: boolean): SetOutcome {
    if (this.#clock.now() > deadline) return { kind: 'late' };
    const record = this.record(next.roomId);
    if (record.version !== expected) return { kind: 'conflict', record };
    if (this.isFull && isNew) return { kind: 'full', cause: new Unavailable(new Error('full')) };
    this.records.set(next.roomId, encodeRecord(next));
    return { kind: 'set' };
  }

  #lease(id: string, ttlMs: number): Leases {
    this.#expire();
    this.leases.set(id, this.#clock.now() + ttlMs);
    return this.#leases(this.#clock.now() + ttlMs);
  }

  #leases(deadline: number): Leases {
    return { alive: [...this.leases.keys()], deadline };
  }

  #expire(): void {
    for (const [id, end] of this.leases) if (end <= this.#clock.now()) this.leases.delete(id);
  }
}
