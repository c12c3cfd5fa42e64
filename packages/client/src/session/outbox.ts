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
  readonly #waiting = new Set<(error: CoupletError) => void>();

  constructor(pc: RTCPeerConnection, channel: RTCDataChannel) {
    this.#pc = pc;
    this.#channel = channel;
    channel.bufferedAmountLowThreshold = DRAINED_BYTES;
  }

  get maxMessageBytes(): number {
    return this.#pc.sctp?.maxMessageSize || DEFAULT_MAX_MESSAGE_BYTES;
  }

  send(data: Data): void {
    if (this.#channel.readyState !== 'open') throw new CoupletError('not_connected');
    if (exceeds(data, this.maxMessageBytes)) throw new CoupletError('too_large');
    try {
      this.#channel.send(data as ArrayBuffer);
    } catch (cause) {
      // The channel is open, so the buffer is full (W3C WebRTC §6.2, OperationError).
      throw new CoupletError('buffer_full', { cause });
    }
  }

  drained(signal?: AbortSignal): Promise<void> {
    const channel = this.#channel;
    return new Promise((resolve, reject) => {
      let stop = () => {};
      const settle = (error?: CoupletError) => {
        channel.removeEventListener('bufferedamountlow', check);
        channel.removeEventListener('close', check);
        stop();
        this.#waiting.delete(settle);
        if (error) reject(error);
        else resolve();
      };
      const check = () => {
        if (channel.readyState !== 'open') settle(new CoupletError('not_connected'));
        else if (channel.bufferedAmount <= DRAINED_BYTES) settle();
      };
      this.#waiting.add(settle);
      channel.addEventListener('bufferedamountlow', check);
      channel.addEventListener('close', check);
      stop = onAbort(signal, settle);
      if (!signal?.aborted) check();
    });
  }

  /** Rejects all pending `drained` calls. The data that was buffered in the channel is lost. */
  close(error: CoupletError): void {
    for (const reject of [...this.#waiting]) reject(error);
  }
}

/**
 * Whether the data has more than `maxBytes` bytes. A text has one to three bytes per UTF-16 unit, so most texts need no
 * encoding.
 */
export function exceeds(data: Data, maxBytes: number): boolean {
  if (typeof data !== 'string') return data.byteLength > maxBytes;
  if (data.length * 3 <= maxBytes) return false;
  return data.length > maxBytes || new TextEncoder().encode(data).length > maxBytes;
}
