// Sends messages over a data channel within the limits of its buffer and message size (W3C WebRTC §6.2).
import { onAbort } from '../abort.js';
import { CoupletError } from '../errors.js';

/** `drained` resolves once at most this much data is buffered. */
export const DRAINED_BYTES = 1024 * 1024;

/** Message size that every implementation accepts, and the default of RFC 8841 §6.1. */
const DEFAULT_MAX_MESSAGE_BYTES = 65_536;

/** Data that can be sent. */
export type Data = string | ArrayBuffer | ArrayBufferView<ArrayBuffer>;

export class Outbox {
  readonly #pc: RTCPeerConnection;
  readonly #channel: RTCDataChannel;
  /** Pending `drained` calls. */
  readonly #waiting = new Set<(error?: CoupletError) => void>();

  constructor(pc: RTCPeerConnection, channel: RTCDataChannel) {
    this.#pc = pc;
    this.#channel = channel;
    channel.bufferedAmountLowThreshold = DRAINED_BYTES;
    channel.addEventListener('bufferedamountlow', () => this.check());
  }

  get maxMessageBytes(): number {
    return this.#pc.sctp?.maxMessageSize || DEFAULT_MAX_MESSAGE_BYTES;
  }

  send(data: Data): void {
    if (typeof data !== 'string' && data?.byteLength === undefined) {
      const message = `Expected text or bytes, got ${typeof data}.`;
      throw new CoupletError('invalid_argument', message);
    }
    if (this.#channel.readyState !== 'open') throw new CoupletError('not_connected');
    if (exceeds(data, this.maxMessageBytes)) throw new CoupletError('too_large');
    try {
      this.#channel.send(data as ArrayBuffer);
    } catch (cause) {
      // The channel is open, so the buffer is full (W3C WebRTC §6.2, OperationError).
      throw new CoupletError('buffer_full', undefined, cause);
    }
  }

  drained(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop = () => {};
      const settle = (error?: CoupletError) => {
        stop();
        this.#waiting.delete(check);
        if (error) reject(error);
        else resolve();
      };
      const check = (error?: CoupletError) => {
        const { readyState, bufferedAmount } = this.#channel;
        if (error || readyState !== 'open') settle(error ?? new CoupletError('not_connected'));
        else if (bufferedAmount <= DRAINED_BYTES) settle();
      };
      this.#waiting.add(check);
      stop = onAbort(signal, settle);
      if (!signal?.aborted) check();
    });
  }

  /** Settles pending `drained` calls. Call it when the channel closes; with an error, all of them reject with it. */
  check(error?: CoupletError): void {
    for (const check of [...this.#waiting]) check(error);
  }
}

/**
 * Whether the data has more than `maxBytes` bytes. A text has one to three bytes per UTF-16 unit, so most texts need no
 * encoding.
 */
export function exceeds(data: Data, maxBytes: number): boolean {
  if (typeof data !== 'string') return data.byteLength > maxBytes;
  return data.length * 3 > maxBytes && new TextEncoder().encode(data).length > maxBytes;
}
