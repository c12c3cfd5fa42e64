// Declares the parts of the core that this folder uses. They are passed in, because this folder may be bundled as a separate
// file (/client-verify-….js), which must not contain a second copy of a class.
import type { Clock } from '../clock.js';
import type { CoupletError } from '../errors.js';
import type { SignalingClient } from '../signaling/signaling-client.js';

export interface Core {
  SignalingClient: typeof SignalingClient;
  CoupletError: typeof CoupletError;
  clock: Clock;
}
