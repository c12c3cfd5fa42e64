// Provides two sessions with certificates, and a forwarder in which tests drop, change and add messages.
import { Emitter } from '../../src/emitter.js';
import type { Pin } from '../../src/session/negotiation.js';
import type {
  KeyMessage,
  SessionEvents,
  SessionState,
  SessionTrust,
} from '../../src/session/session-events.js';

/** Returns the messages to forward instead: none, the same, or others. */
export type Forwarder = (message: KeyMessage) => KeyMessage[];

export class FakeKeySession extends Emitter<SessionEvents> {
  state: SessionState = 'connected';
  trust: SessionTrust = 'none';
  saved = {};
  readonly sent: KeyMessage[] = [];
  readonly pinned: Pin[] = [];
  readonly certificate: { remote: string; local: string };
  peer: RTCPeerConnection;
  /** Sends to the other session. */
  forward: Forwarder = (message) => [message];
  #other: FakeKeySession | undefined;

  constructor(local: string, remote: string) {
    super();
    this.certificate = { local, remote };
    const sdp = (value: string) => ({ sdp: value && `v=0\r\na=fingerprint:sha-256 ${value}\r\n` });
    const { certificate } = this;
    this.peer = {
      get localDescription() {
        return sdp(certificate.local);
      },
      get remoteDescription() {
        return sdp(certificate.remote);
      },
    } as RTCPeerConnection;
  }

  static pair(a = new FakeKeySession('AA', 'BB'), b = new FakeKeySession('BB', 'AA')) {
    a.#other = b;
    b.#other = a;
    return [a, b] as const;
  }

  pin(pin: Pin): void {
    this.pinned.push(pin);
  }

  signal(message: KeyMessage): boolean {
    this.sent.push(message);
    for (const forwarded of this.forward(message)) this.#other?.hear(forwarded);
    return true;
  }

  save() {
    return { version: 1, roomId: 'room', deviceId: 'device' } as const;
  }

  hear(message: KeyMessage): void {
    queueMicrotask(() => this.emit('key-message', message));
  }

  /** Emits an event of the session. */
  happen<Name extends keyof SessionEvents>(name: Name, ...args: SessionEvents[Name]): void {
    this.emit(name, ...args);
  }
}
