// Sends a file to the peer: in pieces, up to the byte that the peer allows, and after a reconnect from the byte that it has.
// The messages are in file-messages.ts.
import { onAbort, throwIfAborted } from '../abort.js';
import { systemClock } from '../clock.js';
import { CoupletError } from '../errors.js';
import { randomId } from '../pairing/pairing-client.js';
import { DRAINED_BYTES } from '../session/outbox.js';
import type { PeerSession } from '../session/peer-session.js';
import { decodeMessage, encodeOffer, fileError, LABEL } from './file-messages.js';
import { Sha256 } from './sha256.js';

/** Options of `sendFile`. */
export interface SendFileOptions {
  /** The name that the peer gets. Defaults to that of the `File`. */
  name?: string;
  /** Called with the number of bytes that the peer has received: after each 256 KiB, after a reconnect, and at the end. */
  onProgress?(receivedBytes: number): void;
  /** Cancels the transfer at both ends: `sendFile` rejects with `aborted`. */
  signal?: AbortSignal;
}

/** The part of a session that the files use. */
export type FileSession = Pick<PeerSession, 'state' | 'peer' | 'on'>;

/** Bytes of a message. Every browser accepts as many. */
const PIECE_BYTES = 65_536;

/** Bytes per read of the file. A read of many pieces takes about as long as a read of one. */
const READ_BYTES = 16 * PIECE_BYTES;

/** Time for the answer to the first offer and to its repetitions. The application at the peer may begin to listen late. */
const ANSWER_WITHIN_MS = [2000, 4000, 8000];

/** The channel of an attempt is lost. The next attempt continues. */
const INTERRUPTED = Symbol('interrupted');

/**
 * Sends a file, or any other Blob, to the `receiveFiles` of the peer. Resolves to its SHA-256 in hex, once the peer's
 * application has read the whole file and both ends have the same SHA-256. At most 1 MiB is buffered, and at most 4 MiB is
 * sent ahead of the reader at the peer. If the connection is lost, the transfer continues once the session is `connected`
 * again, at the first byte that has not arrived. Each call has a data channel of its own, so messages and other files are not
 * delayed.
 *
 * @throws CoupletError `invalid_argument` if it is not a Blob; `not_connected` if the peer is absent, or leaves;
 * `file_unreadable` if the file cannot be read to its end, for example because it was changed; `file_unanswered` if the peer does
 * not receive files, after 14 seconds; `file_cancelled` or `file_too_large` if the peer refuses it; `file_cancelled` if the peer
 * closes the channel at each attempt; `file_damaged` if it arrived with another SHA-256; `aborted`; `closed`
 */
export async function sendFile(
  session: FileSession,
  file: Blob,
  options: SendFileOptions = {},
): Promise<string> {
  if (!(file instanceof Blob)) {
    const message = `Expected a File or Blob, got ${typeof file}.`;
    throw new CoupletError('invalid_argument', message);
  }
  throwIfAborted(options.signal);
  if (session.state === 'closed') throw new CoupletError('closed');
  if (session.state === 'connecting') throw new CoupletError('not_connected');
  return new Sending(session, file, options).run();
}

class Sending {
  readonly #session: FileSession;
  readonly #file: Blob;
  readonly #options: SendFileOptions;
  readonly #offer: string;
  readonly #sum = new Sha256();
  #hashedBytes = 0;
  #sha256: string | undefined;
  /** The bytes that were read last, and the position of the first of them. */
  #piece = new Uint8Array();
  #pieceAt = 0;
  #pc: RTCPeerConnection | undefined;
  #channel: RTCDataChannel | undefined;
  /** What the peer has answered on this channel: where to begin, where to stop, and the SHA-256 of what it received. */
  #from: number | undefined;
  #to: number | undefined;
  #received: string | undefined;
  /** Why the transfer ends. */
  #error: CoupletError | undefined;
  /** Checks the condition that is awaited. */
  #check = () => {};

  constructor(session: FileSession, file: Blob, options: SendFileOptions) {
    this.#session = session;
    this.#file = file;
    this.#options = options;
    const { name = (file as Partial<File>).name ?? '' } = options;
    this.#offer = encodeOffer({ id: randomId(), name, size: file.size, type: file.type });
  }

  async run(): Promise<string> {
    const stops = [
      this.#session.on('peer', () => this.#check()),
      this.#session.on('state', (state) => {
        if (state === 'closed') this.#end(new CoupletError('closed'));
        this.#check();
      }),
      this.#session.on('peer-left', () => this.#end(new CoupletError('not_connected'))),
      onAbort(this.#options.signal, (error) => this.#end(error)),
    ];
    try {
      // A file that cannot be read is not offered.
      await this.#read(0);
      let failures = 0;
      let reached = -1;
      for (;;) {
        await this.#until(() => this.#session.state === 'connected');
        const withinMs = ANSWER_WITHIN_MS[failures];
        if (withinMs === undefined) {
          if (reached >= 0) throw fileError('file_cancelled');
          const message = 'The application at the other device does not receive files.';
          throw new CoupletError('file_unanswered', message);
        }
        try {
          return await this.#attempt(withinMs);
        } catch (error) {
          if (error !== INTERRUPTED) throw error;
          const isSame = this.#session.state === 'connected' && this.#session.peer === this.#pc;
          // A peer that keeps closing channels without receiving more bytes must not cause endless attempts.
          failures = isSame && (this.#from ?? -1) <= reached ? failures + 1 : 0;
          reached = Math.max(reached, this.#from ?? -1);
        }
      }
    } catch (error) {
      const isDamaged = error instanceof CoupletError && error.code === 'file_damaged';
      this.#tell({ error: isDamaged ? 'file_damaged' : 'file_cancelled' });
      throw error;
    } finally {
      for (const stop of stops) stop();
      this.#channel?.close();
    }
  }

  /** Offers the file on a new channel, and sends what the peer does not have. Rejects with `INTERRUPTED` if that is lost. */
  async #attempt(withinMs: number): Promise<string> {
    const { peer } = this.#session;
    this.#open(peer);
    let isLate = false;
    const cancel = systemClock.after(withinMs, () => {
      isLate = true;
      this.#check();
    });
    // Not shorter if the channel closes, so that the next attempt is not made at once.
    await this.#until(
      () => isLate || this.#from !== undefined || this.#session.peer !== peer,
    ).finally(cancel);
    if (this.#from === undefined) throw INTERRUPTED;
    for (let at = this.#from; at < this.#file.size; ) at += await this.#send(at);
    // An empty file too is sent only after it was accepted.
    await this.#untilOpen(() => this.#to !== undefined);
    this.#sha256 ??= this.#sum.hex();
    this.#tell({ sha256: this.#sha256 });
    await this.#untilOpen(() => this.#received !== undefined);
    if (this.#received !== this.#sha256) throw fileError('file_damaged');
    return this.#sha256;
  }

  #open(pc: RTCPeerConnection | undefined): void {
    this.#pc = pc;
    this.#from = this.#to = this.#received = undefined;
    this.#channel?.close();
    this.#channel = undefined;
    try {
      this.#channel = pc?.createDataChannel(LABEL, { protocol: this.#offer });
    } catch {
      // The connection was closed, and the session has not noticed yet.
    }
    const channel = this.#channel;
    if (!channel) return;
    channel.bufferedAmountLowThreshold = DRAINED_BYTES;
    channel.onopen = channel.onbufferedamountlow = channel.onclose = () => this.#check();
    channel.onmessage = ({ data }) => {
      if (channel === this.#channel && typeof data === 'string') this.#take(data);
    };
  }

  #take(text: string): void {
    const { at, to, sha256, error } = decodeMessage(text);
    if (error) this.#end(fileError(error));
    // The peer cannot have bytes that were not sent.
    else if (Number(at) > this.#hashedBytes) this.#end(fileError('file_damaged'));
    else this.#from ??= at;
    // A peer that takes back what it allowed would make the length of the next piece negative.
    if (to !== undefined) this.#to = Math.max(to, this.#to ?? 0);
    this.#received = sha256 ?? this.#received;
    this.#check();
    // Last, because it may throw.
    if (at !== undefined && !this.#error) this.#options.onProgress?.(at);
  }

  /** Sends the next bytes. Resolves to their number. */
  async #send(at: number): Promise<number> {
    await this.#untilOpen(
      () => at < (this.#to ?? 0) && Number(this.#channel?.bufferedAmount) <= DRAINED_BYTES,
    );
    await this.#read(at);
    // The channel may have closed during the read.
    await this.#untilOpen(() => true);
    const from = at - this.#pieceAt;
    const bytes = Math.min(PIECE_BYTES, Number(this.#to) - at);
    const piece = this.#piece.subarray(from, from + bytes);
    this.#channel?.send(piece);
    return piece.length;
  }

  /** Reads the bytes from this position, unless they were read last, and hashes those that are new. */
  async #read(at: number): Promise<void> {
    const { size } = this.#file;
    if (at >= this.#pieceAt && at < this.#pieceAt + this.#piece.length) return;
    const expected = Math.min(READ_BYTES, size - at);
    let piece: Uint8Array<ArrayBuffer> | undefined;
    let cause: unknown;
    const reading = this.#file.slice(at, at + expected).arrayBuffer();
    reading.then(
      (buffer) => {
        piece = new Uint8Array(buffer);
        this.#check();
      },
      (reason) => {
        cause = reason ?? 'unknown';
        this.#check();
      },
    );
    // A read may never end, for example from a disconnected network drive.
    await this.#until(() => piece !== undefined || cause !== undefined);
    // Some browsers do not reject if the file has become shorter.
    if (piece?.length !== expected) {
      const message = 'The file cannot be read. It may have been changed or deleted.';
      throw new CoupletError('file_unreadable', message, cause);
    }
    this.#piece = piece;
    this.#pieceAt = at;
    this.#sum.update(piece.subarray(Math.max(0, this.#hashedBytes - at)));
    this.#hashedBytes = Math.max(this.#hashedBytes, at + piece.length);
  }

  #tell(message: object): void {
    if (this.#channel?.readyState === 'open') this.#channel.send(JSON.stringify(message));
  }

  #end(error: CoupletError): void {
    this.#error ??= error;
    this.#check();
  }

  /** Resolves once the condition is true. Rejects when the transfer ends. */
  #until(condition: () => boolean, isLost = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#check = () => {
        if (this.#error) reject(this.#error);
        else if (isLost()) reject(INTERRUPTED);
        else if (condition()) resolve();
      };
      this.#check();
    });
  }

  /**
   * The same once the channel is open, and rejects with `INTERRUPTED` if it is lost. Chromium may dispatch the first messages of
   * the peer before the channel is open.
   */
  #untilOpen(condition: () => boolean): Promise<void> {
    return this.#until(
      () => this.#channel?.readyState === 'open' && condition(),
      () =>
        !/^(connecting|open)$/.test(this.#channel?.readyState ?? '') ||
        this.#session.peer !== this.#pc,
    );
  }
}
