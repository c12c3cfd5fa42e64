// What one node has to say to another in one turn, as one text: frames for its connections, and news of rooms.
//
//   batch  := process '|' stream '|' number '|' after-loss '\n' item*
//   ack    := process '|' stream '|' number '|' ( 'a' | 'g' )      'g': a batch after this one is missing
//   frame  := 'f' length '|' pair '|' from '|' to '\n' text       the text is that of the WebSocket frame, untouched
//   notice := 'n' length '\n' JSON
//
// Lengths are in UTF-16 code units. The number counts the batches of a stream from one process to another, so that a
// missing one is noticed at the next. A sender that gave batches up begins another stream, with a higher number of the
// stream and batch 1; after-loss is 1 there, and 0 otherwise.
import type { Effect } from '../room.js';
import { decodeRecord, encodeRecord, type RoomRecord } from './room-record.js';

/** A frame on its way to a connection of another node. */
export interface Envelope {
  readonly kind: 'frame';
  readonly to: string;
  readonly from: string;
  /** The company in which it was said. */
  readonly pair: number;
  readonly frame: string;
}

/** A change of a room in which the receiver has members. */
export interface Notice {
  readonly kind: 'notice';
  /** The version that was changed: whoever knows just that is led on by the effects. */
  readonly previous: number;
  readonly record: RoomRecord;
  /** In the order in which they happened; those for the receiver's connections. */
  readonly effects: readonly Effect[];
}

export type Item = Envelope | Notice;

export interface Batch {
  readonly processId: string;
  readonly stream: number;
  readonly number: number;
  /** Whether updates that were sent before this stream may have been lost. */
  readonly isAfterLoss: boolean;
  readonly items: readonly Item[];
}

/** Says up to which batch of a stream everything has arrived. */
export interface Acknowledgment {
  /** Of the receiver of the batches. */
  readonly processId: string;
  readonly stream: number;
  readonly number: number;
  /** Whether the next batch is missing although a later one has come. */
  readonly isGap: boolean;
}

export const encodeAcknowledgment = ({
  processId,
  stream,
  number,
  isGap,
}: Acknowledgment): string => `${processId}|${stream}|${number}|${isGap ? 'g' : 'a'}`;

export function decodeAcknowledgment(text: string): Acknowledgment | undefined {
  const match = /^([^|\n]*)\|(\d+)\|(\d+)\|([ag])$/.exec(text);
  if (match === null) return undefined;
  const [, processId = '', stream, number, kind] = match;
  return { processId, stream: Number(stream), number: Number(number), isGap: kind === 'g' };
}

export function encodeItem(item: Item): string {
  if (item.kind === 'frame') {
    const { frame, pair, from, to } = item;
    return `f${frame.length}|${pair}|${from}|${to}\n${frame}`;
  }
  const body = JSON.stringify([item.previous, encodeRecord(item.record), item.effects]);
  return `n${body.length}\n${body}`;
}

export function encodeBatch(
  { processId, stream, number, isAfterLoss }: Omit<Batch, 'items'>,
  items: readonly string[],
): string {
  return `${processId}|${stream}|${number}|${isAfterLoss ? 1 : 0}\n${items.join('')}`;
}

/** Reads a batch; undefined where the text is none, as one from another version of the server might be. */
export function decodeBatch(text: string): Batch | undefined {
  try {
    const head = text.indexOf('\n');
    const [processId = '', ...counts] = text.slice(0, head).split('|');
    const [stream = Number.NaN, number = Number.NaN, afterLoss = 0] = counts.map(Number);
    if (head < 0 || !Number.isSafeInteger(stream) || !Number.isSafeInteger(number))
      return undefined;
    const items: Item[] = [];
    for (let at = head + 1; at < text.length; ) {
      const end = text.indexOf('\n', at);
      if (end < 0) return undefined;
      const fields = text.slice(at + 1, end).split('|');
      const length = Number(fields[0]);
      const body = text.slice(end + 1, end + 1 + length);
      if (!Number.isSafeInteger(length) || body.length !== length) return undefined;
      if (text[at] === 'f') {
        const [, pair, from, to] = fields;
        items.push({
          kind: 'frame',
          to: to as string,
          from: from as string,
          pair: Number(pair),
          frame: body,
        });
      } else if (text[at] === 'n') {
        const [previous, record, effects] = JSON.parse(body) as [number, string, Effect[]];
        items.push({ kind: 'notice', previous, record: decodeRecord(record), effects });
      }
      at = end + 1 + length;
    }
    return { processId, stream, number, isAfterLoss: afterLoss === 1, items };
  } catch {
    // Nothing of it is logged: it may hold whatever clients said to each other.
    return undefined;
  }
}
