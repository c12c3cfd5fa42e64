// What goes out over a data channel: one message at a time, within what the channel can hold (W3C WebRTC §6.2).
import { CoupletError } from '../errors.js';

/** What waits in the channel may be this much before `drained` waits for less. */
export const DRAINED_BYTES = 1024 * 1024;

/** What every implementation takes in one message, and the default of RFC 8841 §6.1 where none is said. */
const DEFAULT_MAX_MESSAGE_BYTES = 65_536;

/** What can be sent. */
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
      // The channel was open: what is left is a buffer that is full (W3C WebRTC §6.2, OperationError).
      throw new CoupletError('buffer_full', { cause });
    }
  }

  drained(signal?: AbortSignal): Promise<void> {
    const channel = this.#channel;
    return new Promise((resolve, reject) => {
      const settle = (error?: CoupletError) => {
        channel.removeEventListener('bufferedamountlow', look);
        channel.removeEventListener('close', look);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(settle);
        if (error) reject(error);
        else resolve();
      };
      const onAbort = () => settle(CoupletError.aborted(signal));
      const look = () => {
        if (channel.readyState !== 'open') settle(new CoupletError('not_connected'));
        else if (channel.bufferedAmount <= DRAINED_BYTES) settle();
      };
      this.#waiting.add(settle);
      channel.addEventListener('bufferedamountlow', look);
      channel.addEventListener('close', look);
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted) onAbort();
      else look();
    });
  }

  /** The channel is no more, and with it what was in it: nobody waits for that any longer. */
  close(error: CoupletError): void {
    for (const reject of [...this.#waiting]) reject(error);
  }
}

/** A text has at least one byte for each of its UTF-16 units, and at most three: mostly that is enough to know. */
export function exceeds(data: Data, maxBytes: number): boolean {
  if (typeof data !== 'string') return data.byteLength > maxBytes;
  if (data.length * 3 <= maxBytes) return false;
  return data.length > maxBytes || new TextEncoder().encode(data).length > maxBytes;
}
