// Messages between nodes are decoded unchanged, for any client data.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeMessage,
  encodeBatch,
  encodeItem,
  type Item,
} from '../../../src/signaling/cluster/node-messages.js';
import { decodeRecord, encodeRecord } from '../../../src/signaling/cluster/room-record.js';

const id = fc.uuid();
const text = fc.string({ unit: 'binary' });
const version = fc.nat({ max: Number.MAX_SAFE_INTEGER });

const record = fc
  .record({
    version,
    generation: version,
    roomId: text,
    devices: fc.option(fc.record({ client1: text, client2: text })),
    members: fc.array(fc.record({ connectionId: id, deviceId: fc.option(text) }), { maxLength: 2 }),
    node: fc.constantFrom('p.1', 'q.22'),
    past: fc.array(fc.record({ connectionId: id, deviceId: text, until: version }), {
      maxLength: 4,
    }),
  })
  .map(({ version, generation, roomId, devices, members, node, past }) => ({
    version,
    generation,
    roomId,
    devices,
    members: members.map((member) => ({ ...member, node })),
    past,
  }));

test('a record of an earlier version, without past members, is read', () => {
  const text = '7|[5,"room",null,[["a","phone","p.1"]]]';
  expect(decodeRecord(text)).toEqual({
    version: 7,
    generation: 5,
    roomId: 'room',
    devices: null,
    members: [{ connectionId: 'a', deviceId: 'phone', node: 'p.1' }],
    past: [],
  });
});

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.constant({ kind: 'loss' as const }),
  fc.record({
    kind: fc.constant('frame' as const),
    to: id,
    from: id,
    generation: version,
    frame: text,
  }),
  fc.record({
    kind: fc.constant('update' as const),
    record,
    gone: fc.dictionary(id, fc.constantFrom('left' as const, 'replaced' as const)),
  }),
);

test('a record of a room is read as it was written', () => {
  fc.assert(
    fc.property(record, (one) => {
      expect(decodeRecord(encodeRecord(one))).toEqual(one);
    }),
  );
});

test('a batch is read as it was written, with any content of frames', () => {
  fc.assert(
    fc.property(fc.array(item), version, (items, number) => {
      const head = { processId: 'p', stream: 3, number };
      const written = encodeBatch(head, items.map(encodeItem));
      expect(decodeMessage(written)).toEqual({ ...head, items });
    }),
  );
});

test('a message in another format, or an incomplete one, is rejected', () => {
  const whole = encodeBatch({ processId: 'p', stream: 1, number: 1 }, [
    encodeItem({ kind: 'frame', to: 'a', from: 'b', generation: 1, frame: 'whatever' }),
  ]);
  const ofOthers = ['p|1|1|0\nf1|1|a|b\nx', 'p|1|1|a', '[2,"p",1,1,[]]\n', '[3,"p",1,1]\n'];
  // What an update lacks would be noticed where an error ends the process.
  for (const update of ['{"kind":"update"}', '{"kind":"update","record":{}}', '{"kind":"new"}'])
    ofOthers.push(`[3,"p",1,1,[${update}]]\n`);
  for (const wrong of ['', 'x', '\n', 'null\n', '{}\n', ...ofOthers]) {
    expect(decodeMessage(wrong), wrong).toBeUndefined();
  }
  for (let length = 0; length < whole.length; length++) {
    expect(decodeMessage(whole.slice(0, length))).toBeUndefined();
  }
  fc.assert(fc.property(text, (anything) => void decodeMessage(anything)));
});
