// Held checks of other nodes are woken through their inboxes; a wake that Redis does not take is sent again.
import type { NodeChannel } from '../platform/node-channel.js';

/** The kind of these messages; the body is a join code. */
const WAKE = 'w';

/** Wakes that wait to be sent again, at most; a check that misses its wake is answered when its time is up. */
const MAX_WAITING = 10_000;

/** A check is held for half a minute: when to try again, in milliseconds from one attempt to the next. */
const AGAIN_AFTER_MS = [100, 300, 1000, 2000, 4000, 8000, 12_000];

/** The part of an inbox that wakes need. */
export type WakeInbox = Pick<NodeChannel, 'nodeId' | 'on' | 'send'>;

export interface Wakes {
  /** This node, as it registers itself with the checks that it holds; empty where it has no inbox. */
  readonly nodeId: string;
  /** Tells everyone who holds a check of this code. */
  wake(joinCode: string, holders: string): void;
  close(): void;
}

/** @param heard - told of each code whose checks are to look again */
export function redisWakes(inbox: WakeInbox | undefined, heard: (joinCode: string) => void): Wakes {
  const timers = new Set<NodeJS.Timeout>();

  const send = (nodeId: string, joinCode: string, attempt = 0) => {
    inbox?.send(nodeId, WAKE, joinCode).catch(() => {
      const delay = AGAIN_AFTER_MS[attempt];
      if (delay === undefined || timers.size >= MAX_WAITING) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        send(nodeId, joinCode, attempt + 1);
      }, delay);
      timers.add(timer);
    });
  };

  inbox?.on(WAKE, heard);
  return {
    get nodeId() {
      return inbox?.nodeId ?? '';
    },
    wake(joinCode, holders) {
      heard(joinCode);
      for (const nodeId of holders.split(' ')) {
        if (nodeId !== '' && nodeId !== inbox?.nodeId) send(nodeId, joinCode);
      }
    },
    close() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
