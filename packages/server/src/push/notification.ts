// Defines what all push services share: the content of a notification, and how one is sent.
import type { PushTarget } from '@couplet/protocol';
import type { Clock } from '../base/clock.js';
import type { HttpClient } from '../http/outgoing.js';
import type { Attempt, End } from './delivery.js';

/** What the user reads. */
export const ALERT = 'Your chat partner is waiting';

/** Apps recognize the notification by this type. */
export const TYPE = 'presence';

/** How long a push service keeps trying to reach a device, in seconds. Later, the waiting peer has probably given up. */
export const LIFETIME_SECONDS = 300;

export interface ServiceDeps {
  clock: Clock;
  http: HttpClient;
  /** Certificates to trust instead of those of Node.js. */
  ca: string | undefined;
}

/** A request for one notification, which may be sent several times; or why none can be made for this token. */
export type Prepared =
  | {
      send: (signal: AbortSignal) => Promise<Attempt>;
      /** The host that gets it, if a client chose it. */
      host?: string;
    }
  | { end: End & ('dead' | 'host_not_allowed') };

/** A push service, or a program of the operator. */
export interface PushService {
  prepare(target: PushTarget, roomId: string): Prepared;
  close?(): void;
}
