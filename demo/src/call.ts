// Implements calls with the client's media module: a banner for an incoming call, muting, screen sharing, full screen.
import type { PeerSession } from '@couplet/client';
import { type CallState, type Media, mediaOf, type SentTrack } from '@couplet/client/media';
import { peerName } from './device-name.js';
import { byId, hideProblem, showProblem } from './dom.js';
import { canShareScreen, mediaWords, openMedia, openScreen } from './media.js';
import { ring } from './ring.js';
import { markUnread, selectTab } from './tabs.js';

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
    hideProblem();
    const isAnswer = media.callState === 'ringing';
    const use = (stream: MediaStream) => (isAnswer ? media.answer(stream) : media.call(stream));
    await open(openMedia(wants), use, mediaWords);
    if (media.callState === 'calling' || media.callState === 'active') {
      // The call may be answered on the page of the connection test.
      if (location.hash === '#test') {
        const shown = new Promise((resolve) => {
          addEventListener('hashchange', resolve, { once: true });
        });
        location.hash = '#devices';
        await shown;
      }
      selectTab('call');
      byId('hang-up', 'button').focus();
    }
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

  /** How the last call ended, if nobody answered it. */
  let ending: string | undefined;
  let isEnding = false;
  let stopRinging: (() => void) | undefined;
  const update = () => {
    // A device that is gone cannot be answered. If it comes back, its call rings again.
    const isRinging = media.callState === 'ringing' && session.state === 'connected';
    byId('incoming', 'div').hidden = !isRinging;
    if (isRinging) stopRinging ??= ring(`${peerName()} is calling`);
    else {
      stopRinging?.();
      stopRinging = undefined;
    }
    show(media, ending);
  };

  /** Hangs up, declines or cancels. */
  const end = () => {
    isEnding = true;
    media.hangUp();
    isEnding = false;
  };

  const on = (id: string, listener: () => void) =>
    byId(id, 'button').addEventListener('click', listener, { signal });
  on('call-video', () => void start({ video: true }));
  on('call-audio', () => void start({ video: false }));
  on('toggle-microphone', () => toggle('audio'));
  on('toggle-camera', () => toggle('video'));
  on('toggle-screen', toggleScreen);
  on('toggle-full-screen', () => void toggleFullScreen());
  on('hang-up', () => {
    end();
    byId('call-video', 'button').focus();
  });
  on('answer-video', () => void start({ video: true }));
  on('answer-audio', () => void start({ video: false }));
  on('decline', end);
  signal.addEventListener('abort', end);

  // At the end of a call, the media module no longer has its tracks.
  let live: MediaStreamTrack[] = [];
  media.on('change', () => {
    const sent = media.sent.map(({ track }) => track);
    stop(live.filter((track) => !sent.includes(track)));
    live = sent;
    update();
  });
  media.on('call', (state, before, isUnanswered) => {
    ending = undefined;
    if (state === 'none' && !isEnding) {
      if (before === 'calling') {
        ending = isUnanswered
          ? `No answer from ${peerName()}.`
          : `${peerName()} did not take the call.`;
      } else if (before === 'ringing') {
        ending = `Missed call from ${peerName()}.`;
        markUnread('call', 'Missed call');
      }
    }
    if (state === 'none' && document.fullscreenElement) void document.exitFullscreen();
    update();
  });
  session.on('state', update);
  byId('stage', 'div').addEventListener('fullscreenchange', update, { signal });
  update();
}

const incomingWords = ({ callKinds }: Media) =>
  `${peerName()} is calling, ${howWords(callKinds.includes('video'))}`;

const howWords = (hasVideo: boolean) => (hasVideo ? 'with camera' : 'with sound only');

async function toggleFullScreen(): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await byId('stage', 'div').requestFullscreen();
}

const cameraTracks = ({ sent }: Media, kind: 'audio' | 'video') =>
  sent.filter(({ name, track }) => name === 'camera' && track.kind === kind);

const screenTracks = ({ sent }: Media) =>
  sent.filter(({ name }) => name === 'screen').map(({ track }) => track);

function show(media: Media, ending: string | undefined): void {
  const { callState, received } = media;
  // All sounds and one picture: the screen hides the camera.
  const screen = received.find(({ name, track }) => name === 'screen' && track.kind === 'video');
  const shown = received.filter((each) => each.track.kind === 'audio' || each === (screen ?? each));
  const hasPicture = shown.some(({ track, muted }) => track.kind === 'video' && !muted);
  const camera = cameraTracks(media, 'video');
  showTracks('remote-video', shown);
  showTracks('local-video', camera.some(({ muted }) => !muted) ? camera : []);
  const stage = byId('stage', 'div');
  stage.dataset.call = callState;
  stage.classList.toggle('picture', hasPicture);
  byId('call-note', 'p').textContent = noteOf(callState, hasPicture, ending);
  byId('incoming-text', 'p').textContent =
    callState === 'ringing' ? `${incomingWords(media)}.` : '';

  const isHere = callState === 'calling' || callState === 'active';
  byId('call-video', 'button').hidden = callState !== 'none';
  byId('call-audio', 'button').hidden = callState !== 'none';
  byId('hang-up', 'button').hidden = !isHere;
  showToggle('toggle-microphone', cameraTracks(media, 'audio'));
  showToggle('toggle-camera', camera);
  byId('toggle-screen', 'button').hidden = callState !== 'active' || !canShareScreen();
  setPressed('toggle-screen', screenTracks(media).length > 0);
  byId('toggle-full-screen', 'button').hidden = !isHere || !document.fullscreenEnabled;
  setPressed('toggle-full-screen', document.fullscreenElement !== null);
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

function noteOf(callState: CallState, hasPicture: boolean, ending = 'Nobody is calling.'): string {
  const notes: Readonly<Record<CallState, string>> = {
    none: ending,
    calling: `Calling ${peerName()}.`,
    ringing: `${peerName()} is calling.`,
    active: `In a call with ${peerName()}, ${howWords(hasPicture)}.`,
  };
  return notes[callState];
}

function showToggle(id: string, tracks: readonly { muted: boolean }[]): void {
  byId(id, 'button').hidden = tracks.length === 0;
  setPressed(
    id,
    tracks.some(({ muted }) => muted),
  );
}

const setPressed = (id: string, isPressed: boolean) =>
  byId(id, 'button').setAttribute('aria-pressed', String(isPressed));

function stop(tracks: readonly MediaStreamTrack[]): void {
  for (const track of tracks) track.stop();
}
