// Defines the messages of a file transfer. The sender opens a data channel for each file; the offer is its `protocol`.
//
//   sender                              receiver
//   channel with {id, name, size, type} ──►
//                ◄───────────────────── {at}: it has so many bytes, and the application has not accepted yet
//                ◄───────────────────── {at, to}: accepted up to this byte; repeated while the application reads
//   bytes, bytes, … ──────────────────►     in pieces of at least 1 KiB on average
//   {sha256} ─────────────────────────►
//                ◄───────────────────── {at, to, sha256} of the received bytes
//   {error} ──────────────────────────►
//                ◄───────────────────── {error}: ends the transfer
//
// After a reconnect, the sender opens a channel with the same offer, and continues at `at`.
import { CoupletError } from '../errors.js';
import { parsed } from '../json.js';
import { safeFileName } from './file-name.js';

/** The label of the channels. A later version of these messages gets another label, which this version ignores. */
export const LABEL = 'couplet-file';

export interface Offer {
  id: string;
  name: string;
  size: number;
  type: string;
}

/** Why an end stops a transfer. */
const FILE_ERRORS = ['file_cancelled', 'file_too_large', 'file_damaged'] as const;
export type FileError = (typeof FILE_ERRORS)[number];

const MESSAGES: Readonly<Record<FileError, string>> = {
  file_cancelled: 'The file was canceled by the other device.',
  file_too_large: 'The receiving device has no space for the file.',
  file_damaged: 'The bytes that arrived are not those that were sent.',
};

export const fileError = (code: FileError, cause?: unknown): CoupletError =>
  new CoupletError(code, MESSAGES[code], cause);

export interface FileMessage {
  at?: number | undefined;
  to?: number | undefined;
  sha256?: string | undefined;
  error?: FileError | undefined;
}

export const encodeOffer = ({ id, name, size, type }: Offer): string =>
  JSON.stringify({ id, name: safeFileName(name), size, type: type.slice(0, 255) });

/** More than `encodeOffer` returns. Bounds the memory for offers that are kept, and the time to make a name safe. */
const MAX_OFFER_LENGTH = 4096;

/** Decodes the offer of a peer, with a name that is safe; returns undefined if it is not an offer. */
export function decodeOffer(text: string): Offer | undefined {
  if (text.length > MAX_OFFER_LENGTH) return;
  const { id, name, size, type } = parsed(text) ?? {};
  if (typeof id !== 'string' || typeof name !== 'string' || typeof type !== 'string') return;
  if (!isCount(size)) return;
  return { id, name: safeFileName(name), size, type };
}

/** Decodes a message of the peer. Fields that are not valid are undefined. */
export function decodeMessage(text: string): FileMessage {
  const { at, to, sha256, error } = parsed(text) ?? {};
  return {
    at: isCount(at) ? at : undefined,
    to: isCount(to) ? to : undefined,
    sha256: typeof sha256 === 'string' ? sha256 : undefined,
    // A later version may have more reasons.
    error: error && (FILE_ERRORS.find((code) => code === error) ?? 'file_cancelled'),
  } as FileMessage;
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
