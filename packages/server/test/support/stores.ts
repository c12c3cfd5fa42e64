// Stores that a test puts in the place of the real one.
import type { PairingStore } from '../../src/pairing/store.js';

/** A store of which every operation fails with what `failure` makes, as with the disk gone. */
export function brokenStore(failure: () => Error): PairingStore {
  const fail = async () => {
    throw failure();
  };
  return {
    create: fail,
    accept: fail,
    check: fail,
    cancel: fail,
    findRoom: fail,
    prove: fail,
    deleteRoom: fail,
    purge: fail,
    recall: fail,
    firstTime: fail,
    sweep: fail,
    counts: fail,
    probe: fail,
    onChange() {},
    async close() {},
  };
}
