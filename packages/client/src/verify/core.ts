// Declares what this folder needs of the core. It is passed in, because this folder may be in a file of its own (/client-verify.js),
// which must not contain a second copy.
import type { Clock } from '../clock.js';
import type { CoupletError } from '../errors.js';
import type { normalizeJoinCode } from '../pairing/join-code.js';
import type { SignalingClient } from '../signaling/signaling-client.js';

export interface Core {
  normalizeJoinCode: typeof normalizeJoinCode;
  SignalingClient: typeof SignalingClient;
  CoupletError: typeof CoupletError;
  clock: Clock;
}
