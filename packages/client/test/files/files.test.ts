// Tests transfers of files between two sessions: whole, resumed, canceled, damaged, and without an answer.
import { createHash, randomBytes } from 'node:crypto';
import { eventually } from '@couplet/testkit/eventually';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  type IncomingFile,
  receiveFiles,
  type SendFileOptions,
  sendFile,
} from '../../src/index.js';
import { linkedSessions } from '../support/linked-sessions.js';

const PIECE = 65_536;
const AHEAD = 4 * 1024 * 1024;

const bytesOf = (length: number) => new Uint8Array(randomBytes(length));
const sumOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const sumIn = async (blob: Blob) => sumOf(new Uint8Array(await blob.arrayBuffer()));

/** Begins to send a file. `offered` resolves to the file at the other end. */
function begin(content: Uint8Array<ArrayBuffer> | File, options: SendFileOptions = {}) {
  const sessions = linkedSessions();
  const offered = new Promise<IncomingFile>((resolve) => {
    const stop = receiveFiles(sessions.two.session, resolve);
    onTestFinished(stop);
  });
  const file = content instanceof File ? content : new File([content], 'a.bin');
  const sent = sendFile(sessions.one.session, file, options);
  sent.catch(() => {});
  return { ...sessions, offered, sent };
}

/** Lets all that is in transit arrive. */
async function settle(): Promise<void> {
  for (let n = 0; n < 50; n++) await new Promise(setImmediate);
}

test.each([0, PIECE, PIECE + 1, 3 * AHEAD + 5])(
  'a file of %i bytes arrives, and both ends have its SHA-256',
  async (size) => {
    const content = bytesOf(size);
    const progress: number[] = [];
    const file = new File([content], 'a/\u202eb.html', { type: 'text/html' });
    const { offered, sent } = begin(file, { onProgress: (bytes) => progress.push(bytes) });
    const incoming = await offered;
    expect(incoming).toMatchObject({
      name: 'a_b.html',
      size,
      type: 'text/html',
      sha256: undefined,
    });
    const received: number[] = [];
    const blob = await incoming.blob({ onProgress: (bytes) => received.push(bytes) });
    expect(await sumIn(blob)).toBe(sumOf(content));
    expect(blob.type).toBe('application/octet-stream');
    expect([await sent, incoming.sha256]).toEqual([sumOf(content), sumOf(content)]);
    expect(progress.at(-1)).toBe(size);
    expect(received.at(-1) ?? 0).toBe(size);
  },
);

test('nothing is sent before the file is accepted, and then at most 4 MiB ahead of the reader', async () => {
  const content = bytesOf(AHEAD + 16 * PIECE);
  const { one, offered, sent } = begin(content);
  let sentBytes = 0;
  one.pass = (data) => {
    sentBytes += typeof data === 'string' ? 0 : data.byteLength;
    return data;
  };
  const incoming = await offered;
  await settle();
  expect(sentBytes).toBe(0);
  const reader = incoming.stream().getReader();
  expect(() => incoming.stream()).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  await eventually(() => expect(sentBytes).toBe(AHEAD));
  const pieces: Uint8Array[] = [];
  for (;;) {
    const { value } = await reader.read();
    if (!value) break;
    pieces.push(value);
    await settle();
    expect(sentBytes).toBeLessThanOrEqual(pieces.length * PIECE + AHEAD);
  }
  expect(Buffer.concat(pieces).equals(content)).toBe(true);
  expect(await sent).toBe(incoming.sha256);
});

test.each([1, 2, 10, 81, 82, 83, 84, 85])(
  'a connection that is lost after %i messages: the transfer continues with the bytes that are missing',
  async (after) => {
    const content = bytesOf(5 * 1024 * 1024);
    const { one, two, cut, reconnect, offered, sent } = begin(content);
    let messages = 0;
    let sentBytes = 0;
    const pass = <Data extends string | ArrayBuffer>(data: Data) => {
      sentBytes += typeof data === 'string' ? 0 : data.byteLength;
      messages += 1;
      if (messages === after) {
        setImmediate(() => {
          cut();
          setImmediate(reconnect);
        });
      }
      return data;
    };
    one.pass = two.pass = pass;
    const incoming = await offered;
    expect(await sumIn(await incoming.blob())).toBe(sumOf(content));
    expect(await sent).toBe(sumOf(content));
    // Lost is at most what was in transit.
    expect(sentBytes).toBeLessThanOrEqual(content.length + 1024 * 1024 + PIECE);
  },
);

test.each(['the sender', 'the receiver', 'the reader'])(
  '%s can cancel at any time',
  async (who) => {
    for (const isAccepted of [false, true]) {
      const abort = new AbortController();
      const { offered, sent } = begin(bytesOf(3 * AHEAD), { signal: abort.signal });
      const incoming = await offered;
      const reader = isAccepted ? incoming.stream().getReader() : undefined;
      await reader?.read();
      if (who === 'the sender') abort.abort('enough');
      else if (who === 'the receiver' || !reader) incoming.cancel();
      else await reader.cancel();
      const [mine, theirs] =
        who === 'the sender' ? ['aborted', 'file_cancelled'] : ['file_cancelled', 'aborted'];
      await expect(sent).rejects.toMatchObject({ code: mine });
      await settle();
      if (!isAccepted) {
        await expect(incoming.blob()).rejects.toMatchObject({ code: theirs });
      } else if (who !== 'the reader') {
        await expect(reader?.read()).rejects.toMatchObject({ code: theirs });
      }
    }
  },
);

test('a blob can be canceled by a signal, and a file can be refused for its size', async () => {
  const first = begin(bytesOf(3 * AHEAD));
  const abort = new AbortController();
  const blob = (await first.offered).blob({
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  await expect(blob).rejects.toMatchObject({ code: 'aborted' });
  await expect(first.sent).rejects.toMatchObject({ code: 'file_cancelled' });
  const second = begin(bytesOf(1));
  (await second.offered).cancel('file_too_large');
  await expect(second.sent).rejects.toMatchObject({ code: 'file_too_large' });
});

test.each([
  ['throws', () => vi.stubGlobal('Blob', undefined)],
  [
    'stores nothing readable',
    () => {
      vi.spyOn(Blob.prototype, 'arrayBuffer').mockRejectedValue(new Error('out of memory'));
    },
  ],
])('if the platform has no space for the file (a Blob %s), both ends fail', async (_how, fill) => {
  const { offered, sent } = begin(bytesOf(PIECE));
  const incoming = await offered;
  onTestFinished(() => void vi.restoreAllMocks());
  onTestFinished(() => void vi.unstubAllGlobals());
  fill();
  await expect(incoming.blob()).rejects.toMatchObject({ code: 'file_too_large' });
  await expect(sent).rejects.toMatchObject({ code: 'file_too_large' });
});

test.each([
  ['another byte', (data: ArrayBuffer) => new Uint8Array(data).fill(0).buffer],
  ['a missing byte', (data: ArrayBuffer) => data.slice(1)],
  ['a byte too many', (data: ArrayBuffer) => new Uint8Array(data.byteLength + 1).buffer],
])('%s in transit is damage at both ends', async (_what, change) => {
  const { one, offered, sent } = begin(bytesOf(PIECE));
  one.pass = (data) => (typeof data === 'string' ? data : change(data));
  await expect((await offered).blob()).rejects.toMatchObject({ code: 'file_damaged' });
  await expect(sent).rejects.toMatchObject({ code: 'file_damaged' });
});

test.each([
  ['has received more than was sent', '{"at":99999999,"to":99999999}', 'file_damaged'],
  ['has another SHA-256', '{"at":0,"to":9,"sha256":"00"}', 'file_damaged'],
  ['stops for a reason of a later version', '{"error":"bored"}', 'file_cancelled'],
])('a peer that says that it %s ends the transfer', async (_what, message, code) => {
  const { two, sent } = begin(bytesOf(9));
  two.pass = () => message;
  await expect(sent).rejects.toMatchObject({ code });
});

test('messages and offers that are not of the protocol are ignored', async () => {
  const { one, two, offered, sent } = begin(bytesOf(9));
  const incoming = await offered;
  const listener = vi.fn();
  onTestFinished(receiveFiles(two.session, listener));
  for (const protocol of ['', 'null', '{"id":1}', '{"id":"1","name":"a","size":-1,"type":""}']) {
    one.peer.createDataChannel('couplet-file', { protocol });
  }
  one.peer.createDataChannel('chat', { protocol: '{"id":"1","name":"a","size":1,"type":""}' });
  for (const text of ['', 'null', '[]', '{"at":-1,"to":0.5}', '{"at":"0"}']) {
    one.peer.channels[0]?.peer?.send(text);
    one.peer.channels[0]?.send(text);
  }
  await settle();
  expect(listener).not.toHaveBeenCalled();
  await incoming.blob();
  await sent;
});

test('a long offer is ignored, because to make its name safe would take seconds', async () => {
  const { one, two } = linkedSessions();
  const names: string[] = [];
  onTestFinished(receiveFiles(two.session, ({ name }) => names.push(name)));
  for (const name of ['short', `${'.'.repeat(60_000)}a`]) {
    const protocol = JSON.stringify({ id: name, name, size: 1, type: '' });
    one.peer.createDataChannel('couplet-file', { protocol });
  }
  await settle();
  expect(names).toEqual(['short']);
});

test('pieces of one byte, while nothing is read, end the transfer, and empty pieces are ignored', async () => {
  const { one, two, offered, sent } = begin(bytesOf(AHEAD));
  one.pass = (data) => (typeof data === 'string' ? data : new ArrayBuffer(0));
  const incoming = await offered;
  incoming.stream();
  await settle();
  const told: string[] = [];
  two.pass = (data) => {
    told.push(String(data));
    return data;
  };
  one.pass = (data) => data;
  const channel = one.peer.channels[0];
  for (let n = 0; n < 5000; n++) channel?.send(new Uint8Array());
  await settle();
  expect([told, incoming.receivedBytes]).toEqual([[], 0]);
  for (let n = 0; n < 5000; n++) channel?.send(new Uint8Array(1));
  await settle();
  expect(told).toEqual(['{"error":"file_damaged"}']);
  await expect(sent).rejects.toMatchObject({ code: 'file_damaged' });
});

/** A file whose slices are read by `read`. */
function unreadable(read: (from: number) => Promise<ArrayBuffer>): File {
  const file = new File([bytesOf(40 * PIECE)], 'a');
  file.slice = (from = 0) => Object.assign(new Blob(), { arrayBuffer: () => read(from) });
  return file;
}

test('a peer that takes back what it allowed gets no larger pieces', async () => {
  const sizes: number[] = [];
  let takeBack = () => {};
  const { one, offered, sent } = begin(
    unreadable(async (from) => {
      await settle();
      if (from > 0) takeBack();
      await settle();
      return new ArrayBuffer(16 * PIECE);
    }),
  );
  one.pass = (data) => {
    if (typeof data !== 'string') sizes.push(data.byteLength);
    return data;
  };
  const incoming = await offered;
  takeBack = () => one.peer.channels[0]?.peer?.send('{"at":0,"to":1048575}');
  await incoming.blob().catch(() => {});
  await expect(sent).rejects.toMatchObject({ code: 'file_unreadable' });
  expect(new Set(sizes)).toEqual(new Set([PIECE]));
});

test('a read that never ends can be canceled', async () => {
  const abort = new AbortController();
  const { sent } = begin(
    unreadable(() => new Promise(() => {})),
    { signal: abort.signal },
  );
  abort.abort();
  await expect(sent).rejects.toMatchObject({ code: 'aborted' });
});

test.each([
  ['the peer leaves', 'not_connected'],
  ['the session closes', 'closed'],
] as const)('if %s, both ends fail', async (what, code) => {
  const { one, two, offered, sent } = begin(bytesOf(3 * AHEAD));
  const blob = (await offered).blob({
    onProgress() {
      for (const side of [one, two])
        what === 'the session closes' ? side.become('closed') : side.leave();
    },
  });
  await expect(blob).rejects.toMatchObject({ code });
  await expect(sent).rejects.toMatchObject({ code });
});

test.each([
  ['connecting', 'not_connected'],
  ['closed', 'closed'],
] as const)('a session that is %s sends no file', async (state, code) => {
  const { one } = linkedSessions();
  one.state = state;
  await expect(sendFile(one.session, new Blob())).rejects.toMatchObject({ code });
});

test.each([[{}], ['text'], [undefined]])('%j is not a file', async (file) => {
  await expect(sendFile(linkedSessions().one.session, file as never)).rejects.toMatchObject({
    code: 'invalid_argument',
    message: `Expected a File or Blob, got ${typeof file}.`,
  });
});

/** Replaces timers, so that a test sets the time. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
}

test('a peer that does not receive files: an error after 14 seconds, also if channels are closed', async () => {
  fakeTimers();
  const { one, two } = linkedSessions();
  const sent = sendFile(one.session, new Blob(['x']));
  sent.catch(() => {});
  two.peer.addEventListener('datachannel', (event) => {
    (event as unknown as { channel: RTCDataChannel }).channel.close();
  });
  for (const offers of [1, 2, 3]) {
    await settle();
    expect(one.peer.channels).toHaveLength(offers);
    vi.advanceTimersByTime(2 ** offers * 1000);
  }
  await expect(sent).rejects.toMatchObject({ code: 'file_unanswered' });
});

test('an answer may arrive before the channel is open', async () => {
  const { one, two } = linkedSessions();
  const { peer } = one;
  const { createDataChannel } = peer;
  peer.createDataChannel = (label, options) => {
    const channel = createDataChannel.call(peer, label, options);
    channel.readyState = 'connecting';
    two.pass = (data) => {
      setImmediate(() =>
        setImmediate(() => {
          channel.readyState = 'open';
          channel.onopen?.({});
        }),
      );
      return data;
    };
    return channel;
  };
  onTestFinished(receiveFiles(two.session, (file) => void file.blob()));
  expect(await sendFile(one.session, new Blob(['x']))).toBe(sumOf(new Uint8Array([120])));
  expect(peer.channels).toHaveLength(1);
});

test('a peer that answers each offer and closes its channel ends the transfer', async () => {
  const { one, two } = linkedSessions();
  two.peer.addEventListener('datachannel', (event) => {
    const { channel } = event as unknown as { channel: RTCDataChannel };
    channel.send('{"at":0}');
    channel.close();
  });
  await expect(sendFile(one.session, new Blob(['x']))).rejects.toMatchObject({
    code: 'file_cancelled',
  });
  expect(one.peer.channels).toHaveLength(4);
});

test('an application that begins to receive late gets the file', async () => {
  fakeTimers();
  const { one, two } = linkedSessions();
  const sent = sendFile(one.session, new Blob(['late']), { name: 'late.txt' });
  await settle();
  const offered = new Promise<IncomingFile>((resolve) => {
    onTestFinished(receiveFiles(two.session, resolve));
  });
  vi.advanceTimersByTime(2000);
  const incoming = await offered;
  expect(incoming.name).toBe('late.txt');
  expect(await (await incoming.blob()).text()).toBe('late');
  await sent;
});

test('a sender that does not continue after a reconnect: an error after 30 seconds', async () => {
  fakeTimers();
  const { one, cut, reconnect, offered, sent } = begin(bytesOf(3 * AHEAD));
  const reader = (await offered).stream().getReader();
  await reader.read();
  // Its page was reloaded.
  one.become('closed');
  await expect(sent).rejects.toMatchObject({ code: 'closed' });
  cut();
  reconnect();
  vi.advanceTimersByTime(30_000);
  await expect(reader.read()).rejects.toMatchObject({ code: 'not_connected' });
});

test('a receiver that stops cancels its files, and leaves nothing behind', async () => {
  fakeTimers();
  const { one, two } = linkedSessions();
  const offered: IncomingFile[] = [];
  const stop = receiveFiles(two.session, (file) => offered.push(file));
  const sent = sendFile(one.session, new Blob(['x']));
  await settle();
  expect(offered).toHaveLength(1);
  stop();
  await expect(sent).rejects.toMatchObject({ code: 'file_cancelled' });
  two.become('connected');
  expect(vi.getTimerCount()).toBe(0);
});
