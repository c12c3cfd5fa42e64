// Encodes and decodes messages between nodes: one line of JSON, then the texts of all frames, one after the other.
//
//   items          := [FORMAT, process, stream, number of the first item, [item, …]]
//   acknowledgment := [FORMAT, process, stream, number of the last item, whether the next item is missing]
//   item           := frame [generation, from, to, length] | update or loss, as in memory
//
// A frame is the text of a WebSocket message, unchanged; its length is in UTF-16 code units.
import type { Gone, RoomRecord } from './room-record.js';

/** A frame for a connection of another node. */
export interface Envelope {
  readonly kind: 'frame';
  readonly to: string;
  readonly from: string;
  /** The generation in which it was sent. */
  readonly generation: number;
  readonly frame: string;
}

/** A change of a room in which the receiver has members. */
export interface RoomUpdate {
  readonly kind: 'update';
  readonly record: RoomRecord;
  readonly gone: Gone;
}

/** `loss`: the first item of a stream that replaces another, whose updates may be lost. */
export type Item = Envelope | RoomUpdate | { readonly kind: 'loss' };

interface Numbered {
  /** Of a batch: the sender. Of an acknowledgment: the receiver of the items. */
  readonly processId: string;
  /** A stream with a higher number replaces the earlier ones. */
  readonly stream: number;
  /** Of a batch: its first item; a stream begins with 1. Of an acknowledgment: the last item that was received. */
  readonly number: number;
}

/** Consecutive items of a stream between two processes. */
export interface Batch extends Numbered {
  readonly items: readonly Item[];
}

/** Confirms all items up to a number. */
export interface Acknowledgment extends Numbered {
  /** Whether the next item is missing although a later one has arrived. */
  readonly isGap: boolean;
}

/** To be changed with every incompatible change. */
const FORMAT = 3;

export type EncodedItem = Readonly<ReturnType<typeof encodeItem>>;

export function encodeItem(item: Item) {
  if (item.kind !== 'frame') return { item, head: JSON.stringify(item), body: '' };
  const { generation, from, to, frame } = item;
  return { item, head: JSON.stringify([generation, from, to, frame.length]), body: frame };
}

export function encodeBatch(head: Numbered, items: readonly EncodedItem[]): string {
  const { processId, stream, number } = head;
  const heads = items.map(({ head }) => head).join();
  const bodies = items.map(({ body }) => body).join('');
  return `[${FORMAT},${JSON.stringify(processId)},${stream},${number},[${heads}]]\n${bodies}`;
}

export const encodeAcknowledgment = (it: Acknowledgment): string =>
  `${JSON.stringify([FORMAT, it.processId, it.stream, it.number, it.isGap])}\n`;

type FrameHead = [generation: number, from: string, to: string, length: number];

type Head = FrameHead | Exclude<Item, Envelope>;

type Line = [format: number, processId: string, stream: number, number: number, boolean | Head[]];

/** Returns undefined for another format or an incomplete message. */
export function decodeMessage(text: string): Batch | Acknowledgment | undefined {
  let end = text.indexOf('\n');
  try {
    const line = JSON.parse(text.slice(0, end)) as Line;
    const [format, processId, stream, number, rest] = line;
    if (format !== FORMAT) return undefined;
    if (typeof rest === 'boolean') return { processId, stream, number, isGap: rest };
    const items = rest.map((head): Item => {
      if ('kind' in head) {
        if (head.kind === 'update' && typeof head.record.roomId === 'string') return head;
        if (head.kind === 'loss') return head;
        throw new TypeError('an unknown item');
      }
      const [generation, from, to, length] = head;
      const start = end + 1;
      end += length;
      return { kind: 'frame', to, from, generation, frame: text.slice(start, start + length) };
    });
    return end + 1 === text.length ? { processId, stream, number, items } : undefined;
  } catch {
    // The error would quote client data.
    return undefined;
  }
}
