// Tests calls and tracks between Chromium and Firefox: ringing, muting, replacing, screen sharing, and many toggles.
import type { Device } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { CallState } from '../../src/media.js';
import {
  type ClientPage,
  deviceOpeners,
  expectKept,
  inPage,
  pair,
  resume,
} from '../support/client-page.js';

/** The page of a device that uses media, and what its listeners got. */
interface MediaPage extends ClientPage {
  camera: MediaStream;
  replaced: Promise<void>;
  calls: [CallState, CallState][];
  got: string[];
  videos: Record<string, HTMLVideoElement>;
  /** Makes a stream of a new picture, two pixels wider than the last one, and of sound. */
  makeStream(sound?: boolean): MediaStream;
}

describeWith(['chromium', 'firefox-esr'], 'calls and tracks', () => {
  const open = deviceOpeners();

  test.each([
    ['chromium', 'firefox'],
    ['firefox', 'chromium'],
  ] as const)('%s calls %s', async (one, other) => {
    const { url } = await serverForTest();
    const [host, guest] = [await open[one](), await open[other]()];
    await pair(url, host, guest);
    await inPage(host, prepare);
    await inPage(guest, prepare);

    await run(host, ({ mediaOf, session, camera }) => mediaOf(session).call(camera));
    // The guest uses media only now, after it was called.
    await run(guest, listen);
    await run(host, listen);
    await expect.poll(() => callsOf(guest)).toEqual([['ringing', 'none']]);
    const kinds = await run(guest, ({ mediaOf, session }) => mediaOf(session).callKinds);
    expect(kinds).toEqual(['audio', 'video']);
    await run(guest, hangUp);
    await expect.poll(() => callsOf(host)).toContainEqual(['none', 'calling']);
    expect(await received(guest)).toEqual([]);

    await run(host, ({ mediaOf, session, camera }) => mediaOf(session).call(camera));
    await expect.poll(() => callsOf(guest)).toHaveLength(3);
    await run(guest, ({ mediaOf, session, camera }) => mediaOf(session).answer(camera));
    for (const device of [host, guest]) {
      await expect.poll(() => received(device)).toEqual(['camera audio', 'camera video']);
      // The tracks and the state of the call arrive over different connections.
      await expect.poll(async () => (await callsOf(device)).at(-1)?.[0]).toBe('active');
      await expect.poll(() => run(device, width, 'camera')).toBe(64);
      // Each track once, and again for a listener that is added later.
      const tracks = async () => (await run(device, ({ got }) => got)).sort();
      await expect.poll(tracks).toEqual(['camera audio', 'camera video']);
      await run(device, listen);
      expect(await tracks()).toEqual(['camera audio', 'camera video']);
    }

    await run(host, ({ mediaOf, session, camera }) => {
      for (const track of camera.getAudioTracks()) mediaOf(session).setMuted(track, true);
    });
    await expect.poll(() => received(guest)).toEqual(['camera audio muted', 'camera video']);
    await run(host, async ({ mediaOf, session, camera, makeStream }) => {
      const [track, by] = [camera, makeStream()].flatMap((stream) => stream.getVideoTracks());
      if (track && by) await mediaOf(session).replaceTrack(track, by);
    });
    await expect.poll(() => run(guest, width, 'camera')).toBe(66);

    // However often a camera or a screen is toggled, no description becomes longer than after the first time.
    const all = [host, guest];
    const widest = async (name: string, pictures: number[]) => {
      for (const [n, device] of all.entries()) {
        await expect.poll(() => run(device, width, name)).toBe(pictures[n]);
      }
    };
    await Promise.all(all.map((device) => run(device, toggle, 'screen')));
    await widest('screen', [66, 68]);
    const lengths = await Promise.all(all.map((device) => run(device, descriptionLength)));
    for (let n = 0; n < 15; n++) {
      await Promise.all(all.map((device) => run(device, toggle, 'screen')));
      await Promise.all(all.map((device) => run(device, toggle, 'camera')));
    }
    await widest('screen', [124, 126]);
    await widest('camera', [126, 128]);
    for (const [n, device] of all.entries()) {
      expect(await received(device)).toHaveLength(3);
      expect(await run(device, descriptionLength)).toBe(lengths[n]);
      expect(lengths[n]).toBeLessThan(32_768);
      expect(await inPage(device, ({ errors }) => errors)).toEqual([]);
    }

    await run(host, hangUp);
    for (const device of all) await expect.poll(() => received(device)).toEqual([]);
    await expect.poll(async () => (await callsOf(guest)).at(-1)).toEqual(['none', 'active']);
    await expectKept(host, guest);
  });

  test('after a reload of the peer, the call rings again and tracks are sent again', async () => {
    const { url } = await serverForTest();
    const [host, guest] = [await open.firefox(), await open.chromium()];
    await pair(url, host, guest);
    const saved = await inPage(guest, ({ session }) => session.save());
    await inPage(host, prepare);
    await run(host, ({ mediaOf, session, camera }) => mediaOf(session).addStream(camera));
    // A peer without this module gets the tracks, and its own arrive.
    await expect.poll(() => inPage(guest, ({ tracks }) => tracks.length)).toBe(2);
    await inPage(guest, ({ session }) => void session.peer?.addTransceiver('audio'));
    await expect.poll(() => received(host)).toEqual(['camera audio']);

    // The connection is closed while a track is replaced.
    await run(host, (page) => {
      const { mediaOf, session, camera, makeStream } = page;
      const [track, by] = [camera, makeStream()].flatMap((stream) => stream.getVideoTracks());
      const pc = session.peer as RTCPeerConnection;
      pc.close = () => {
        if (track && by) page.replaced = mediaOf(session).replaceTrack(track, by);
        RTCPeerConnection.prototype.close.call(pc);
      };
    });
    await guest.page.reload();
    await resume(url, guest, saved);
    await inPage(guest, prepare);
    await run(guest, listen);
    await expect.poll(() => received(guest)).toEqual(['camera audio', 'camera video']);
    await expect.poll(() => run(guest, width, 'camera')).toBe(66);
    await run(host, ({ replaced }) => replaced);
    await Promise.all(
      [host, guest].map((device) => run(device, ({ mediaOf, session }) => mediaOf(session).call())),
    );
    await guest.page.reload();
    await resume(url, guest, saved);
    await inPage(guest, prepare);
    await run(guest, listen);
    await expect.poll(() => callsOf(guest)).toEqual([['ringing', 'none']]);
    await run(guest, ({ mediaOf, session }) => mediaOf(session).answer());
    await expect.poll(() => received(guest)).toEqual(['camera audio', 'camera video']);
  });
});

/** Runs a function in a page that was prepared. */
const run = <Result, Argument = undefined>(
  device: Device,
  body: (page: MediaPage, argument: Argument) => Result | Promise<Result>,
  ...argument: Argument extends undefined ? [] : [Argument]
): Promise<Result> =>
  inPage(device, body as (page: ClientPage, argument: Argument) => Result, ...argument);

const callsOf = (device: Device) => run(device, ({ calls }) => calls);

/** What the peer sends, as text. */
const received = (device: Device) =>
  run(device, ({ mediaOf, session }) =>
    mediaOf(session)
      .received.map(({ track, name, muted }) => `${name} ${track.kind}${muted ? ' muted' : ''}`)
      .sort(),
  );

// The functions below run in a page.

function prepare(globals: ClientPage): void {
  const page = globals as MediaPage;
  let [width, drawing] = [62, 0];
  page.makeStream = (sound) => {
    const canvas = document.createElement('canvas');
    width += 2;
    Object.assign(canvas, { width, height: 64 });
    const context = canvas.getContext('2d');
    const draw = () => {
      if (!context) return;
      context.fillStyle = `hsl(${Date.now() % 360} 90% 50%)`;
      context.fillRect(0, 0, canvas.width, 64);
    };
    // Only the latest pictures move.
    clearInterval(drawing - 2);
    drawing = window.setInterval(draw, 50);
    const stream = canvas.captureStream();
    const audio = new AudioContext().createMediaStreamDestination().stream.getTracks();
    if (sound) for (const track of audio) stream.addTrack(track);
    return stream;
  };
  page.camera = page.makeStream(true);
}

function listen(page: MediaPage): void {
  Object.assign(page, { calls: [], got: [], videos: {} });
  const media = page.mediaOf(page.session);
  media.on('call', (state, before) => page.calls.push([state, before]));
  media.on('track', ({ track, name, stream }) => {
    page.got.push(`${name} ${track.kind}`);
    const video = document.createElement('video');
    Object.assign(video, { muted: true, srcObject: stream });
    video.play().catch(() => {});
    page.videos[name] = video;
  });
}

const hangUp = ({ mediaOf, session }: MediaPage) => mediaOf(session).hangUp();

/** The width of the shown picture of this name; 0 if there is none. */
const width = ({ videos }: MediaPage, name: string): number => videos[name]?.videoWidth ?? 0;

/** Stops sending the picture of this name, and sends another one, whose width is larger each time. */
function toggle({ mediaOf, session, makeStream }: MediaPage, name: string): void {
  const media = mediaOf(session);
  const video = media.sent.find((sent) => sent.name === name && sent.track.kind === 'video');
  if (video) media.removeTrack(video.track);
  media.addStream(makeStream(), name);
}

const descriptionLength = ({ session }: ClientPage) =>
  session.peer?.currentLocalDescription?.sdp.length ?? 0;
