// What one node says to another comes out as it went in, whatever clients say.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeBatch,
  encodeBatch,
  encodeItem,
  type Item,
} from '../../../src/signaling/cluster/batch.js';
import { decodeRecord, encodeRecord } from '../../../src/signaling/cluster/room-record.js';

const id = fc.uuid();
const text = fc.string({ unit: 'binary' });
const version = fc.nat({ max: Number.MAX_SAFE_INTEGER });

const record = fc
  .record({
    version,
    pair: version,
    roomId: text,
    devices: fc.option(fc.record({ client1: text, client2: text })),
    members: fc.array(fc.record({ connectionId: id, deviceId: fc.option(text) }), { maxLength: 2 }),
    node: fc.constantFrom('p.1', 'q.22'),
    past: fc.array(fc.record({ connectionId: id, deviceId: text, until: version }), {
      maxLength: 4,
    }),
  })
  .map(({ version, pair, roomId, devices, members, node, past }) => ({
    version,
    pair,
    state: { roomId, devices, members },
    nodes: members.map(() => node),
    past,
  }));

test('a record of the version before this one, which names nobody who has gone, is read', () => {
  const text = '7|[5,"room",null,[["a","phone","p.1"]]]';
  expect(decodeRecord(text)).toEqual({
    version: 7,
    pair: 5,
    state: { roomId: 'room', devices: null, members: [{ connectionId: 'a', deviceId: 'phone' }] },
    nodes: ['p.1'],
    past: [],
  });
});

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constant('frame' as const), to: id, from: id, pair: version, frame: text }),
  fc.record({
    kind: fc.constant('notice' as const),
    previous: version,
    record,
    effects: fc.array(
      fc.oneof(
        fc.record({
          kind: fc.constant('send' as const),
          to: id,
          message: fc.record({ type: fc.constant('peer_left' as const), message: text }),
        }),
        fc.record({
          kind: fc.constant('seat' as const),
          to: id,
          seat: fc.option(
            fc.record({ roomId: text, peerId: fc.option(id), pairedDevice: fc.option(text) }),
          ),
        }),
      ),
    ),
  }),
);

test('a record of a room is read as it was written', () => {
  fc.assert(
    fc.property(record, (one) => {
      expect(decodeRecord(encodeRecord(one))).toEqual(one);
    }),
  );
});

test('a batch is read as it was written, with whatever is in the frames', () => {
  fc.assert(
    fc.property(fc.array(item), version, (items, number) => {
      const head = { processId: 'p', stream: 3, number, isAfterLoss: number % 2 === 1 };
      const written = encodeBatch(head, items.map(encodeItem));
      expect(decodeBatch(written)).toEqual({ ...head, items });
    }),
  );
});

test('what is no batch, or is cut short, is none', () => {
  const whole = encodeBatch({ processId: 'p', stream: 1, number: 1, isAfterLoss: false }, [
    encodeItem({ kind: 'frame', to: 'a', from: 'b', pair: 1, frame: 'whatever' }),
  ]);
  for (const wrong of ['', 'x', '\n', 'p|1|x\n', 'p|1|1\nf9|1|a|b\nshort', 'p|1|1\nn1\n{']) {
    expect(decodeBatch(wrong), wrong).toBeUndefined();
  }
  for (let length = 0; length < whole.length; length++) {
    const items = decodeBatch(whole.slice(0, length))?.items ?? [];
    expect(items).toEqual([]);
  }
  fc.assert(fc.property(text, (anything) => void decodeBatch(anything)));
});
