// Verifies pairings by their code, or by a saved key. The core loads this module when an application first needs it.

import { normalizeJoinCode } from '../pairing/join-code.js';
import type { SignalingConstructor } from '../session/peer-session.js';
import { read, secretsFor } from './code.js';
import type { Core } from './core.js';
import { scalar } from './cpace.js';
import type { Role } from './pairing-key.js';
import { spent, USED, verifying } from './verified-signaling.js';

const NEEDS = 'Verified pairings need X25519 in WebCrypto, and a secure context.';

/** A verified invite. */
export interface VerifiedInvite {
  /** Members of the `Invite`. */
  shown: { code: string; link(url: string): string };
  Signaling: SignalingConstructor;
}

/** A code that was read. */
export interface Accepted {
  joinCode: string;
  Signaling?: SignalingConstructor;
}

/** @param classes of the core, of which this module must not contain a second copy */
export function verifier(
  SignalingClient: Core['SignalingClient'],
  CoupletError: Core['CoupletError'],
  clock: Core['clock'],
) {
  const core = { SignalingClient, CoupletError, clock };
  return {
    /** Returns a function that adds secrets to the join code, once it is created. */
    async invite(): Promise<(joinCode: string) => VerifiedInvite> {
      await requireCurve(core);
      return (joinCode) => {
        const secrets = secretsFor(joinCode);
        return {
          shown: {
            code: secrets.code,
            link: (url) => `${url.replace(/#.*$/, '')}#${secrets.link}`,
          },
          Signaling: verifying(core, { role: 'b', secrets }),
        };
      };
    },

    /**
     * Reads any code or link, as a person types it.
     *
     * @throws CoupletError `invalid_joinid`, `code_mistyped`; `code_mismatch` if the code was used before
     */
    async accept(text: string, digits: number): Promise<Accepted> {
      const plain = normalizeJoinCode(text, digits);
      if (plain) return { joinCode: plain };
      const { joinCode, kind, secret } = read(core, text, digits);
      if (spent.has(secret)) throw new core.CoupletError('code_mismatch', USED);
      await requireCurve(core);
      const secrets = { [kind]: secret };
      return { joinCode, Signaling: verifying(core, { role: 'a', secrets }) };
    },

    /** @throws CoupletError `unverified_peer` if the pairing was saved before it was verified */
    resume(saved: string): SignalingConstructor {
      const [role, key] = saved.split('.') as [Role, string | undefined];
      if (!globalThis.crypto?.subtle) throw new core.CoupletError('unsupported', NEEDS);
      if (!key) {
        const message = 'The pairing was saved before it was verified. Pair again with a new code.';
        throw new core.CoupletError('unverified_peer', message);
      }
      return verifying(core, { role, key });
    },
  };
}

/** Rejects with `unsupported` if the platform has no X25519. */
async function requireCurve({ CoupletError }: Core): Promise<void> {
  try {
    await scalar();
  } catch (cause) {
    throw new CoupletError('unsupported', NEEDS, cause);
  }
}
