// Implements calls with tracks on the session's peer connection. The client negotiates. Either side can start and end.
import type { PeerSession } from '@couplet/client';
import { byId, showProblem } from './dom.js';
import { mediaWords, openMedia, remoteTracks } from './media.js';
import { markUnread } from './tabs.js';

export function startCall(session: PeerSession, signal: AbortSignal): void {
  const call = new Call(session);
  const on = (id: string, listener: () => void) =>
    byId(id, 'button').addEventListener('click', listener, { signal });
  on('call-video', () => void call.start({ video: true }));
  on('call-audio', () => void call.start({ video: false }));
  on('toggle-microphone', () => call.toggle('audio'));
  on('toggle-camera', () => call.toggle('video'));
  on('hang-up', () => {
    call.hangUp();
    byId('call-video', 'button').focus();
  });
  signal.addEventListener('abort', () => call.hangUp());
}

class Call {
  readonly #session: PeerSession;
  readonly #remote = new MediaStream();
  #local: MediaStream | undefined;
  #starting = false;
  #ended = false;

  constructor(session: PeerSession) {
    this.#session = session;
    // A new connection has no tracks, so the tracks of a running call are added again.
    session.on('peer', (peer) => this.#follow(peer));
    session.on('peer-left', () => this.hangUp());
    session.on('state', (state) => {
      if (state === 'closed') this.#ended = true;
    });
    if (session.peer) this.#follow(session.peer);
    this.#show();
  }

  async start(wants: { video: boolean }): Promise<void> {
    if (this.#local || this.#starting) return;
    this.#starting = true;
    try {
      const stream = await openMedia(wants);
      if (this.#ended) return stop(stream);
      this.#local = stream;
      const { peer } = this.#session;
      if (peer) this.#addTracks(peer);
    } catch (error) {
      showProblem(mediaWords(error));
    } finally {
      this.#starting = false;
      this.#show();
    }
    if (this.#local) byId('hang-up', 'button').focus();
  }

  /** Mutes or unmutes. A muted track stays, and sends silence or black frames. */
  toggle(kind: 'audio' | 'video'): void {
    for (const track of this.#tracks(kind)) track.enabled = !track.enabled;
    this.#show();
  }

  hangUp(): void {
    const stream = this.#local;
    this.#local = undefined;
    if (stream) {
      const { peer } = this.#session;
      for (const sender of peer?.getSenders() ?? []) {
        if (sender.track && stream.getTracks().includes(sender.track)) peer?.removeTrack(sender);
      }
      stop(stream);
    }
    this.#show();
  }

  #follow(peer: RTCPeerConnection): void {
    // After every exchange of descriptions, the remote tracks are known.
    peer.addEventListener('signalingstatechange', () => {
      if (peer === this.#session.peer && peer.signalingState === 'stable') this.#show();
    });
    this.#addTracks(peer);
  }

  #addTracks(peer: RTCPeerConnection): void {
    const stream = this.#local;
    for (const track of stream?.getTracks() ?? []) {
      // Every added track makes all later descriptions longer. Reuse the transceivers of an earlier call instead.
      const free = peer
        .getTransceivers()
        .find(({ sender, receiver }) => !sender.track && receiver.track.kind === track.kind);
      if (!free) {
        peer.addTrack(track, stream as MediaStream);
        continue;
      }
      void free.sender.replaceTrack(track);
      free.direction = 'sendrecv';
    }
  }

  #tracks(kind: 'audio' | 'video'): MediaStreamTrack[] {
    return this.#local?.getTracks().filter((track) => track.kind === kind) ?? [];
  }

  #show(): void {
    const { peer } = this.#session;
    const theirs = peer ? remoteTracks(peer) : [];
    const isNew = this.#remote.getTracks().length === 0 && theirs.length > 0;
    for (const track of this.#remote.getTracks()) {
      if (!theirs.includes(track)) this.#remote.removeTrack(track);
    }
    for (const track of theirs) this.#remote.addTrack(track);
    const isCalling = this.#local !== undefined;
    showVideo('remote-video', theirs.length > 0 ? this.#remote : undefined);
    showVideo('local-video', this.#tracks('video').length > 0 ? this.#local : undefined);
    byId('stage', 'div').classList.toggle('busy', isCalling || theirs.length > 0);
    byId('call-note', 'p').textContent = noteOf(isCalling, theirs);
    byId('call-video', 'button').hidden = isCalling;
    byId('call-audio', 'button').hidden = isCalling;
    byId('hang-up', 'button').hidden = !isCalling;
    this.#showToggle('toggle-microphone', 'audio');
    this.#showToggle('toggle-camera', 'video');
    if (isNew) markUnread('call', 'Incoming call');
  }

  #showToggle(id: string, kind: 'audio' | 'video'): void {
    const tracks = this.#tracks(kind);
    byId(id, 'button').hidden = tracks.length === 0;
    byId(id, 'button').setAttribute('aria-pressed', String(tracks.some(({ enabled }) => !enabled)));
  }
}

function noteOf(isCalling: boolean, theirs: readonly MediaStreamTrack[]): string {
  if (theirs.length === 0)
    return isCalling ? 'Waiting for the other device to join.' : 'Nobody is calling.';
  const hasVideo = theirs.some(({ kind }) => kind === 'video');
  const how = hasVideo ? 'with camera' : 'with sound only';
  return isCalling
    ? `In a call, ${how}.`
    : `The other device is calling, ${how}. To answer, start your camera or microphone.`;
}

function showVideo(id: string, stream: MediaStream | undefined): void {
  const video = byId(id, 'video');
  video.hidden = stream === undefined;
  if (video.srcObject !== (stream ?? null)) video.srcObject = stream ?? null;
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
