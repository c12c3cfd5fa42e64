// Implements the call tab with the client's media module: calls that ring, muting and screen sharing.
import type { PeerSession } from '@couplet/client';
import { type CallState, type Media, mediaOf, type SentTrack } from '@couplet/client/media';
import { byId, showProblem } from './dom.js';
import { canShareScreen, mediaWords, openMedia, openScreen } from './media.js';
import { markUnread } from './tabs.js';

export function startCall(session: PeerSession, signal: AbortSignal): void {
  const media = mediaOf(session);
  let isOpening = false;

  /** Passes on a stream unless the user declines or the session ends. */
  const open = async (
    opening: Promise<MediaStream>,
    use: (stream: MediaStream) => void,
    wordsOf: (error: unknown) => string,
  ) => {
    isOpening = true;
    try {
      const stream = await opening;
      if (!signal.aborted) use(stream);
      // The other device may have given up meanwhile.
      if (media.callState === 'none') stop(stream.getTracks());
    } catch (error) {
      showProblem(wordsOf(error));
    } finally {
      isOpening = false;
    }
  };

  const start = async (wants: { video: boolean }) => {
    if (isOpening) return;
    const isAnswer = media.callState === 'ringing';
    const use = (stream: MediaStream) => (isAnswer ? media.answer(stream) : media.call(stream));
    await open(openMedia(wants), use, mediaWords);
    if (media.callState !== 'none') byId('hang-up', 'button').focus();
  };

  /** Mutes or unmutes. A muted track stays, and sends silence or black frames. */
  const toggle = (kind: 'audio' | 'video') => {
    for (const { track, muted } of cameraTracks(media, kind)) media.setMuted(track, !muted);
  };

  const toggleScreen = () => {
    const shared = screenTracks(media);
    for (const track of shared) media.removeTrack(track);
    stop(shared);
    if (shared.length > 0 || isOpening) return;
    const use = (stream: MediaStream) => media.addStream(stream, 'screen');
    void open(openScreen(), use, () => 'The screen is not shared.');
  };

  const hangUp = () => {
    media.hangUp();
    byId('call-video', 'button').focus();
  };

  const on = (id: string, listener: () => void) =>
    byId(id, 'button').addEventListener('click', listener, { signal });
  on('call-video', () => void start({ video: true }));
  on('call-audio', () => void start({ video: false }));
  on('toggle-microphone', () => toggle('audio'));
  on('toggle-camera', () => toggle('video'));
  on('toggle-screen', toggleScreen);
  on('hang-up', hangUp);
  signal.addEventListener('abort', () => media.hangUp());

  // At the end of a call, the media module no longer has its tracks.
  let live: MediaStreamTrack[] = [];
  media.on('change', () => {
    const sent = media.sent.map(({ track }) => track);
    stop(live.filter((track) => !sent.includes(track)));
    live = sent;
    show(media);
  });
  media.on('call', (state) => {
    if (state === 'ringing') markUnread('call', 'Incoming call');
  });
  show(media);
}

const cameraTracks = ({ sent }: Media, kind: 'audio' | 'video') =>
  sent.filter(({ name, track }) => name === 'camera' && track.kind === kind);

const screenTracks = ({ sent }: Media) =>
  sent.filter(({ name }) => name === 'screen').map(({ track }) => track);

function show(media: Media): void {
  const { callState, received } = media;
  // All sounds and one picture: the screen hides the camera.
  const screen = received.find(({ name, track }) => name === 'screen' && track.kind === 'video');
  const shown = received.filter((each) => each.track.kind === 'audio' || each === (screen ?? each));
  showTracks('remote-video', shown);
  showTracks('local-video', cameraTracks(media, 'video'));
  byId('stage', 'div').classList.toggle('busy', callState === 'active');
  byId('call-note', 'p').textContent = noteOf(media);

  const isHere = callState === 'calling' || callState === 'active';
  const verb = callState === 'ringing' ? 'Answer' : 'Start';
  for (const [id, what] of [
    ['call-video', 'camera'],
    ['call-audio', 'microphone'],
  ] as const) {
    byId(id, 'button').hidden = isHere;
    byId(id, 'button').textContent = `${verb} with ${what}`;
  }
  byId('hang-up', 'button').hidden = callState === 'none';
  byId('hang-up', 'button').textContent = callState === 'ringing' ? 'Decline' : 'Hang up';
  showToggle('toggle-microphone', cameraTracks(media, 'audio'));
  showToggle('toggle-camera', cameraTracks(media, 'video'));
  byId('toggle-screen', 'button').hidden = callState !== 'active' || !canShareScreen();
  byId('toggle-screen', 'button').setAttribute(
    'aria-pressed',
    String(screenTracks(media).length > 0),
  );
}

/** Shows exactly these tracks. Chromium may not show a track that was added to the stream of a playing element. */
function showTracks(id: string, shown: readonly SentTrack[]): void {
  const video = byId(id, 'video');
  const tracks = shown.map(({ track }) => track);
  const before = video.srcObject instanceof MediaStream ? video.srcObject.getTracks() : [];
  video.hidden = tracks.length === 0;
  if (tracks.length === before.length && tracks.every((track) => before.includes(track))) return;
  video.srcObject = tracks.length === 0 ? null : new MediaStream(tracks);
}

function noteOf({ callState, callKinds, received }: Media): string {
  const how = (hasVideo: boolean) => (hasVideo ? 'with camera' : 'with sound only');
  const notes: Readonly<Record<CallState, string>> = {
    none: 'Nobody is calling.',
    calling: 'Waiting for the other device to answer.',
    ringing: `The other device is calling, ${how(callKinds.includes('video'))}.`,
    active: `In a call, ${how(received.some(({ track }) => track.kind === 'video'))}.`,
  };
  return notes[callState];
}

function showToggle(id: string, tracks: readonly { muted: boolean }[]): void {
  byId(id, 'button').hidden = tracks.length === 0;
  byId(id, 'button').setAttribute('aria-pressed', String(tracks.some(({ muted }) => muted)));
}

function stop(tracks: readonly MediaStreamTrack[]): void {
  for (const track of tracks) track.stop();
}
