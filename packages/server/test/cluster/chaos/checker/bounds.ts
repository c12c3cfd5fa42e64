// How long things may take: the bounds that the checker holds the servers to, from their settings.

export interface Bounds {
  /** Between servers that no fault touches: every notice and close has arrived, and every held check is answered. */
  settleMs: number;
  /** A server that fell silent is known to be gone: its lease has lapsed and the others have looked. */
  goneMs: number;
  /** A client that fell silent is known to be gone. */
  silentMs: number;
  /** After a fault is over its effects may still arrive. */
  healMs: number;
  /** After the last fault everything is usable again. */
  usableMs: number;
}

export interface Settings {
  leaseSeconds: number;
  heartbeatSeconds: number;
}

/**
 * For two busy cores: a notice takes milliseconds, and a process may wait for its turn. The others look at the leases
 * once in a third of their time; a lease that was renewed just before the fault is whole.
 */
export function boundsFor({ leaseSeconds, heartbeatSeconds }: Settings): Bounds {
  const settleMs = 3000;
  const goneMs = leaseSeconds * 1000 * (1 + 1 / 3) + settleMs;
  return {
    settleMs,
    goneMs,
    silentMs: 3 * heartbeatSeconds * 1000 + settleMs,
    healMs: goneMs,
    usableMs: 10_000,
  };
}
