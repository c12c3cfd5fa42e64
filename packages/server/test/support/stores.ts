// Stores that replace the real one in tests.
import type { PairingStore } from '../../src/pairing/store.js';

/** A store whose every operation fails with the result of `failure`, as without a disk. */
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
    setPushTarget: fail,
    claimPush: fail,
    forgetPushTarget: fail,
    sweep: fail,
    counts: fail,
    probe: fail,
    onChange() {},
    async close() {},
  };
}
