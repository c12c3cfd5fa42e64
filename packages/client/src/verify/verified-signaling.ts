// Connects a session only to the verified peer: holds `ready` until the peer has proved that it has the secret, signs the
// descriptions that are sent, and ends the session at a description that the peer has not signed. docs/key-exchange.md §9.
//
//   a, accepted the code │ b, created it          │
//   share                │                        │ a repeats its share at every `ready`, until it has that of b
//                        │ share, with b's tag    │ b repeats it whenever it gets the share of a
//   confirm, with a's tag│                        │ a repeats it at every `ready`, in case b missed it
//
// Each end takes one share. A wrong tag, another share or an invalid one ends the pairing with `code_mismatch`.
import type { ClientMessage, RoomReady } from '@couplet/protocol';
import { base64url, bytesOf } from '../base64url.js';
import type { CoupletErrorCode } from '../errors.js';
import type { SignalingConstructor, Verified } from '../session/peer-session.js';
import type { SessionTrust } from '../session/session-events.js';
import type {
  Forwarded,
  SignalingClientOptions,
  SignalingEvents,
} from '../signaling/signaling-client.js';
import type { Secrets } from './code.js';
import type { Core } from './core.js';
import { Authenticator, PROTOCOL, type Role } from './pairing-key.js';
import { Run } from './run.js';

/** The secrets of the code, or the saved key. */
export type Known = { role: Role; secrets: Partial<Secrets> } | { role: Role; key: string };

const PREFIX = `${PROTOCOL}:`;
const CONFIRM = 'confirm';
const FAIL = 'fail';

/** Codes and links whose run has begun in this page. Another run would be one more guess for an attacker. */
export const spent = new Set<string>();
export const USED = 'This code was used. Ask for a new one.';

/** Time for a peer that is in the room to complete the run. A client without verification never does. */
const PROVE_WITHIN_MS = 20_000;

/** The same for a peer that is not in the room. Its page may have been reloaded and have lost the code. */
const ABSENT_WITHIN_MS = 120_000;

/** Returns the class for one session. */
export function verifying(core: Core, known: Known): SignalingConstructor {
  const saved = 'key' in known ? known.key : '';
  // Outside the class, because the constructor of its base class emits an event.
  let taking: Promise<unknown> = Promise.resolve();
  let sending: Promise<unknown> = taking;

  return class VerifiedSignaling extends core.SignalingClient {
    readonly #options: SignalingClientOptions;
    readonly #session: Verified;
    readonly #run: Run | undefined;
    #authenticator: Authenticator | undefined;
    /** The key of the run, before the peer has proved that it has the same. */
    #key = '';
    /** Whether the peer has proved that it has the key. */
    #isProved = false;
    /** Whether the peer has verified this end too: b sends offers only then, and they are signed. */
    #isComplete = false;
    /** Whether this session has added its code to `spent`. */
    #isSpending = false;
    /** The accepted share of the peer. No other is accepted. */
    #taken: string | undefined;
    /** The `ready` that the session gets once the peer is proved. */
    #held: RoomReady | undefined;
    #cancelTimer: () => void = () => {};
    #isClosed = false;

    constructor(options: SignalingClientOptions, session: Verified) {
      super(options);
      const { roomId, deviceId } = options;
      this.#options = options;
      this.#session = session;
      // The saved key is empty until the pairing is verified.
      this.#states(saved ? 'saved' : 'none', saved);
      if ('secrets' in known) this.#run = new Run({ ...known, roomId, deviceId });
      else {
        taking = this.#guarded(async () => {
          await this.#use(bytesOf(saved));
          this.#isProved = true;
          this.#isComplete = true;
        });
      }
    }

    /** Signs descriptions. Candidates are sent after the description that they belong to. */
    override send(message: ClientMessage): boolean {
      switch (message.type) {
        case 'webrtc_offer':
        case 'webrtc_answer':
        case 'ice_candidate':
          if (!this.#isProved) return false;
          sending = sending.then(async () => super.send(await this.#signed(message)));
          return true;
        case 'key_exchange':
        case 'key_exchange_complete':
          return this.#isProved && super.send(message);
        default:
          return super.send(message);
      }
    }

    override close(): void {
      this.#isClosed = true;
      this.#cancelTimer();
      super.close();
    }

    protected override emit<Name extends keyof SignalingEvents>(
      name: Name,
      ...args: SignalingEvents[Name]
    ): void {
      // Not queued, because the base class removes the listeners after it.
      if (name === 'end') super.emit(name, ...args);
      else taking = taking.then(() => this.#guarded(() => this.#pass(name, args)));
    }

    async #pass<Name extends keyof SignalingEvents>(
      name: Name,
      args: SignalingEvents[Name],
    ): Promise<void> {
      const [arg] = args as [never];
      if (name === 'ready') return this.#ready(arg);
      if (name === 'message') return this.#take(arg);
      if (name !== 'too-big' && name !== 'server-message') this.#hold(name);
      super.emit(name, ...args);
    }

    async #guarded(step: () => Promise<void>): Promise<void> {
      if (this.#isClosed) return;
      try {
        await step();
      } catch (cause) {
        this.#end('unsupported', String(cause));
      }
    }

    #states(trust: SessionTrust, key: string): void {
      this.#session.trust = trust;
      this.#session.saved = { key: key && `${known.role}.${key}` };
    }

    async #use(key: Uint8Array<ArrayBuffer>): Promise<void> {
      this.#authenticator = await Authenticator.of(key, known.role, this.#options.roomId);
    }

    async #signed(message: ClientMessage): Promise<ClientMessage> {
      if (message.type !== 'webrtc_offer' && message.type !== 'webrtc_answer') return message;
      const mac = (await this.#authenticator?.sign(message.type, message.sdp)) ?? null;
      return { ...message, mac };
    }

    async #ready(ready: RoomReady): Promise<void> {
      // Repeated also in a resumed session, because the peer may have missed it.
      if (this.#authenticator) await this.#tell(CONFIRM);
      if (!this.#isComplete) this.#endAfter(PROVE_WITHIN_MS);
      if (this.#isProved) {
        super.emit('ready', ready);
        return;
      }
      this.#held = ready;
      if ('secrets' in known && known.role === 'a') {
        const [[kind = '', secret = ''] = []] = Object.entries(known.secrets);
        // An application may accept a code twice at once, and the server may let both calls into a room.
        if (spent.has(secret) && !this.#isSpending) return this.#end('code_mismatch', USED);
        this.#isSpending = true;
        spent.add(secret);
        await this.#share(kind);
      }
    }

    /** Discards the held `ready`, because the peer has left or the connection is down. */
    #hold(name: keyof SignalingEvents): void {
      if (!this.#isComplete && (this.#held || name === 'joined')) this.#endAfter(ABSENT_WITHIN_MS);
      this.#held = undefined;
    }

    async #take(message: Forwarded): Promise<void> {
      const { type } = message;
      const text = type === 'key_exchange' ? String(message.publicKey) : '';
      if (text.startsWith(PREFIX)) return this.#step(text);
      const isDescription = type === 'webrtc_offer' || type === 'webrtc_answer';
      // Candidates need no MAC: they contain only addresses, and the description contains the certificate.
      if (!this.#isProved && type === 'ice_candidate') return;
      if (
        !this.#isProved ||
        (isDescription && !(await this.#authenticator?.verify(message.mac, type, message.sdp)))
      ) {
        // The peer has the key, so it may learn why this end leaves.
        if (this.#isProved) await this.#tell(FAIL);
        return this.#end('unverified_peer', 'The other device did not prove that it was paired.');
      }
      if (isDescription) this.#complete();
      super.emit('message', message);
    }

    /** Handles a message of the run. */
    async #step(text: string): Promise<void> {
      const [step, ...fields] = text.slice(PREFIX.length).split(':');
      if (step === 'share') await this.#takeShare(fields);
      else if (step === CONFIRM) await this.#takeTag(fields[0]);
      else if (step === FAIL) await this.#takeFail(fields[0]);
    }

    async #takeShare([kind = '', share = '', device = '', tag]: string[]): Promise<void> {
      if (this.#taken === undefined && this.#run) {
        this.#taken = share;
        try {
          const key = await this.#run.take({ kind, share, device });
          this.#key = base64url(key);
          await this.#use(key);
        } catch {
          // An invalid share, or one for another kind of code, uses up the run too.
          return this.#mismatch();
        }
      } else if (this.#taken !== share) {
        // A run is never repeated, because each run allows one guess.
        return this.#isProved ? undefined : this.#mismatch();
      }
      if (known.role === 'b') return this.#share(kind);
      await this.#takeTag(tag);
    }

    async #takeTag(tag: string | undefined): Promise<void> {
      if (this.#isProved || !this.#authenticator) return;
      if (!(await this.#authenticator.verify(tag, CONFIRM))) return this.#mismatch();
      this.#isProved = true;
      this.#states('code', this.#key);
      if (known.role === 'b') this.#complete();
      else await this.#tell(CONFIRM);
      if (this.#held) super.emit('ready', this.#held);
    }

    /** After the run, only the peer itself can end the pairing: the server cannot make its tag. */
    async #takeFail(tag: string | undefined): Promise<void> {
      if (this.#isProved && (await this.#authenticator?.verify(tag, FAIL))) {
        return this.#end('unverified_peer', 'Messages to the other device were changed.');
      }
      if (!this.#isComplete) this.#mismatch();
    }

    #complete(): void {
      this.#isComplete = true;
      this.#cancelTimer();
    }

    async #share(kind: string): Promise<void> {
      const own = await this.#run?.share(kind);
      const tag = (await this.#authenticator?.sign(CONFIRM)) ?? '';
      if (own) this.#send('share', kind, own.share, own.device, tag);
    }

    /** Sends a step with its tag. */
    async #tell(step: string): Promise<void> {
      this.#send(step, (await this.#authenticator?.sign(step)) ?? '');
    }

    #send(...fields: string[]): void {
      super.send({ type: 'key_exchange', publicKey: PREFIX + fields.join(':') });
    }

    /** Ends the pairing at both ends. */
    #mismatch(): void {
      this.#send(FAIL);
      this.#end('code_mismatch', 'The devices have different codes. Pair again with a new code.');
    }

    #endAfter(delayMs: number): void {
      this.#cancelTimer();
      // It may have been closed during an await.
      if (this.#isClosed) return;
      const { clock = core.clock } = this.#options;
      this.#cancelTimer = clock.after(delayMs, () =>
        this.#end('unverified_peer', 'The other device did not complete the verification.'),
      );
    }

    #end(code: CoupletErrorCode, message: string): void {
      super.emit('end', new core.CoupletError(code, message));
      this.close();
    }
  };
}
