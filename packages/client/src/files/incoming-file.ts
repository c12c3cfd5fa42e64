// Receives one file: passes its bytes to one reader, limits how far the sender is ahead of it, and verifies them at the end.
import { onAbort } from '../abort.js';
import { CoupletError } from '../errors.js';
import { decodeMessage, type FileError, fileError, type Offer } from './file-messages.js';
import { Sha256 } from './sha256.js';

/** Options of `IncomingFile.blob`. */
export interface BlobOptions {
  /** Called with the number of bytes received so far. */
  onProgress?(receivedBytes: number): void;
  /** Cancels the transfer at both ends: `blob` rejects with `aborted`. */
  signal?: AbortSignal;
}

/** Most bytes that the sender may send ahead of the reader. With 100 ms to the peer, that allows 40 MB/s. */
const AHEAD_BYTES = 4 * 1024 * 1024;

/** The sender gets a new limit after the reader has read this many bytes. */
const TOLD_EVERY_BYTES = AHEAD_BYTES / 16;

/** Most pieces that are kept in memory, because an array takes more memory than a few bytes in it. */
const MAX_PIECES = 4096;

/** Bytes that are moved into a Blob together. A browser can keep a Blob on disk, but an array only in memory. */
const FOLD_BYTES = 8 * 1024 * 1024;

/**
 * A file that the peer offers. Nothing is sent before `stream` or `blob` is called. Ignoring the file keeps the sender
 * waiting; refuse it with `cancel`. The transfer survives reconnects.
 */
export class IncomingFile {
  /**
   * The name, safe to show and to save: one line of at most 255 bytes without path separators, direction overrides and
   * invisible characters.
   */
  readonly name: string;
  /** The size in bytes. No more bytes are accepted. */
  readonly size: number;
  /** The media type that the sender states, possibly empty. It may be wrong: do not open the file with this type. */
  readonly type: string;
  readonly #sum = new Sha256();
  /** Bytes that were received and not read. */
  readonly #queue: Uint8Array<ArrayBuffer>[] = [];
  #receivedBytes = 0;
  #readBytes = 0;
  /** The reader's progress that the sender was told last. */
  #toldBytes = 0;
  /** The position up to which the sender may send; undefined until the file is accepted. */
  #to: number | undefined;
  /** The SHA-256 that the sender states at the end, and that of the received bytes. */
  #stated: string | undefined;
  #sha256: string | undefined;
  #isComplete = false;
  #error: CoupletError | undefined;
  /** What the sender is told about the error. */
  #reason: FileError = 'file_cancelled';
  #channel: RTCDataChannel | undefined;
  /** Continues the reader. */
  #wake = () => {};

  /** @internal */
  constructor({ name, size, type }: Offer) {
    this.name = name;
    this.size = size;
    this.type = type;
  }

  /** Bytes received so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** The SHA-256 in hex; undefined until the file is complete and verified. */
  get sha256(): string | undefined {
    return this.#isComplete ? this.#sha256 : undefined;
  }

  /**
   * Accepts the file. Returns its bytes as they arrive, and keeps at most 4 MiB unread. The bytes are verified only when the
   * stream ends, by their SHA-256. The stream fails with the errors of `blob`. Canceling the stream cancels the transfer.
   *
   * @throws CoupletError `invalid_argument` if the file was accepted before
   */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#accept();
    return new ReadableStream(
      {
        pull: async (controller) => {
          const bytes = await this.#next();
          if (bytes) controller.enqueue(bytes);
          else {
            this.#complete();
            controller.close();
          }
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  /**
   * Accepts the file. Resolves to the whole file, once it is verified. Browsers keep large Blobs on disk. Its type is
   * `application/octet-stream`, because a web page of the sender must not run in the origin of the application.
   *
   * @throws CoupletError `invalid_argument` if the file was accepted before; `file_cancelled` if the sender canceled;
   * `file_damaged` if other bytes arrived than were sent; `file_too_large` if the platform has no space for it; `not_connected`
   * if the sender left, or did not continue within 30 seconds after a reconnect; `aborted` if this end canceled; `closed`
   */
  async blob({ onProgress, signal }: BlobOptions = {}): Promise<Blob> {
    this.#accept();
    const stop = onAbort(signal, (error) => this.fail(error));
    try {
      const folded: Blob[] = [];
      let pieces: Uint8Array<ArrayBuffer>[] = [];
      let bytes = 0;
      for (;;) {
        const piece = await this.#next();
        if (piece) pieces.push(piece);
        bytes += piece?.length ?? 0;
        if (!piece || bytes >= FOLD_BYTES || pieces.length >= MAX_PIECES) {
          folded.push(new Blob(pieces));
          pieces = [];
          bytes = 0;
        }
        if (!piece) break;
        onProgress?.(this.#receivedBytes);
      }
      const blob = new Blob(folded, { type: 'application/octet-stream' });
      // If there is no space, the constructor does not throw, but reading the Blob fails.
      await blob.slice(-1).arrayBuffer();
      this.#complete();
      return blob;
    } catch (cause) {
      const error = cause instanceof CoupletError ? cause : fileError('file_too_large', cause);
      this.fail(error, 'file_too_large');
      throw error;
    } finally {
      stop();
    }
  }

  /**
   * Refuses the file, or cancels its transfer: `sendFile` rejects with this code, and `stream` or `blob` with `aborted`. Does
   * nothing after the end.
   */
  cancel(code: 'file_cancelled' | 'file_too_large' = 'file_cancelled'): void {
    this.fail(new CoupletError('aborted'), code);
  }

  /** @internal Whether the transfer goes on. */
  get isOpen(): boolean {
    return !this.#error && !this.#isComplete;
  }

  /** @internal Whether there is a channel to the sender. */
  get isAttached(): boolean {
    return this.#channel !== undefined;
  }

  /** @internal Continues on a channel of the sender. */
  attach(channel: RTCDataChannel): void {
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => {
      if (channel === this.#channel) this.#take(data);
    };
    channel.onopen = () => this.#tell();
    this.#tell();
  }

  /** @internal The channel is lost: this one, or any. */
  detach(channel = this.#channel): void {
    if (channel === this.#channel) this.#channel = undefined;
  }

  /** @internal Ends the transfer. */
  fail(error: CoupletError, reason: FileError = 'file_cancelled'): void {
    if (!this.isOpen) return;
    this.#error = error;
    this.#reason = reason;
    this.#queue.length = 0;
    this.#tell();
    this.#wake();
  }

  #accept(): void {
    if (this.#to !== undefined) {
      const message = 'The file was accepted before.';
      throw new CoupletError('invalid_argument', message);
    }
    this.#to = Math.min(this.size, AHEAD_BYTES);
    this.#tell();
  }

  #take(data: string | ArrayBuffer): void {
    if (!this.isOpen) return;
    if (typeof data === 'string') {
      const { error, sha256 } = decodeMessage(data);
      if (error) this.fail(fileError(error));
      else if (sha256) this.#stated = sha256;
    } else if (data.byteLength > 0) {
      const bytes = new Uint8Array(data);
      this.#receivedBytes += bytes.length;
      this.#sum.update(bytes);
      this.#queue.push(bytes);
      // More than is allowed.
      if (this.#receivedBytes > (this.#to ?? 0) || this.#queue.length > MAX_PIECES) {
        this.fail(fileError('file_damaged'), 'file_damaged');
      }
    }
    this.#wake();
  }

  /** Resolves to the next bytes; to undefined at the end, if they are verified. Rejects if the transfer failed. */
  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (;;) {
      if (this.#error) throw this.#error;
      const bytes = this.#queue.shift();
      if (bytes) {
        this.#readBytes += bytes.length;
        this.#to = Math.min(this.size, this.#readBytes + AHEAD_BYTES);
        if (this.#readBytes - this.#toldBytes >= TOLD_EVERY_BYTES) this.#tell();
        return bytes;
      }
      if (this.#stated !== undefined) {
        this.#sha256 ??= this.#sum.hex();
        if (this.#receivedBytes === this.size && this.#sha256 === this.#stated) return undefined;
        this.fail(fileError('file_damaged'), 'file_damaged');
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #complete(): void {
    if (this.#error) throw this.#error;
    this.#isComplete = true;
    this.#tell();
  }

  /** Sends the complete state of the receiver. It is sent again after a reconnect. */
  #tell(): void {
    if (this.#channel?.readyState !== 'open') return;
    this.#toldBytes = this.#readBytes;
    const state = { at: this.#receivedBytes, to: this.#to, sha256: this.sha256 };
    this.#channel.send(JSON.stringify(this.#error ? { error: this.#reason } : state));
  }
}
