// Encodes file transfers as binary messages on the session's channel: one byte kind, four bytes transfer id, payload.
//
//   sender                              receiver
//   offer {name, size, mediaType} ────►
//   chunk, chunk, … ──────────────────►
//   end {sha256} ─────────────────────► compares
//                ◄───────────────────── received {sha256} of the received bytes
//   cancelled ────────────────────────►
//                ◄───────────────────── refused {reason}

export interface FileOffer {
  name: string;
  size: number;
  mediaType: string;
}

/** Why a receiver stops a transfer. */
export type RefusalReason = 'cancelled' | 'too_large' | 'broken';

export type FileFrame =
  | ({ kind: 'offer'; id: number } & FileOffer)
  | { kind: 'chunk'; id: number; bytes: Uint8Array<ArrayBuffer> }
  | { kind: 'end'; id: number; sha256: string }
  | { kind: 'received'; id: number; sha256: string }
  | { kind: 'cancelled'; id: number }
  | { kind: 'refused'; id: number; reason: RefusalReason };

/** The first byte of a frame is the index in this list, so only append to it. */
const KINDS = ['offer', 'chunk', 'end', 'received', 'cancelled', 'refused'] as const;
const HEADER_BYTES = 5;

/** Payload bytes of a chunk. With its header it stays below 64 KiB, which every browser accepts. */
export const CHUNK_BYTES = 60 * 1024;

/** Largest file. Received files stay in the browser until they are saved. */
export const MAX_FILE_BYTES = 1_000_000_000;

export function encodeFrame(frame: FileFrame): ArrayBuffer {
  const { kind, id, ...rest } = frame;
  const payload = 'bytes' in rest ? rest.bytes : new TextEncoder().encode(JSON.stringify(rest));
  const message = new Uint8Array(HEADER_BYTES + payload.length);
  message[0] = KINDS.indexOf(kind);
  new DataView(message.buffer).setUint32(1, id);
  message.set(payload, HEADER_BYTES);
  return message.buffer;
}

/** Decodes a message of the peer; returns undefined if it is not a frame. */
export function decodeFrame(message: ArrayBuffer): FileFrame | undefined {
  if (message.byteLength < HEADER_BYTES) return undefined;
  const view = new DataView(message);
  const [kind, id] = [KINDS[view.getUint8(0)], view.getUint32(1)];
  const payload = new Uint8Array(message, HEADER_BYTES);
  if (kind === 'chunk') return { kind, id, bytes: payload };
  const { name, size, mediaType, sha256, reason } = fieldsOf(payload);
  switch (kind) {
    case 'offer':
      if (typeof name !== 'string' || typeof mediaType !== 'string') return undefined;
      if (!Number.isSafeInteger(size) || Number(size) < 0) return undefined;
      return { kind, id, name, size: Number(size), mediaType };
    case 'end':
    case 'received':
      return typeof sha256 === 'string' ? { kind, id, sha256 } : undefined;
    case 'cancelled':
      return { kind, id };
    case 'refused':
      return {
        kind,
        id,
        reason: reason === 'too_large' || reason === 'broken' ? reason : 'cancelled',
      };
    case undefined:
      return undefined;
  }
}

function fieldsOf(payload: Uint8Array): Record<string, unknown> {
  try {
    const fields: unknown = JSON.parse(new TextDecoder().decode(payload));
    return typeof fields === 'object' && fields !== null ? { ...fields } : {};
  } catch {
    // The payload is not JSON, so there are no fields.
    return {};
  }
}
