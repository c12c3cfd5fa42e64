// Camera and microphone: asking for them, and what to say where they do not come.

/** A stream of what was asked for. Rejects with the browser's DOMException. */
export async function openMedia(wants: { video: boolean }): Promise<MediaStream> {
  // Not there at all on a page that is not secure.
  if (navigator.mediaDevices === undefined) throw new DOMException('', 'SecurityError');
  return navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true },
    video: wants.video && { width: { ideal: 1280 }, height: { ideal: 720 } },
  });
}

export function mediaWords(error: unknown): string {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'The browser did not allow the camera or the microphone. Its address bar has the switch.';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'This device has no such camera or microphone.';
    case 'NotReadableError':
      return 'The camera or microphone is in use by another program.';
    case 'SecurityError':
      return 'Browsers give camera and microphone only to pages over https, or from localhost.';
    default:
      return 'The camera or microphone did not start.';
  }
}

/** The tracks that the peer sends on this connection now. */
export const remoteTracks = (peer: RTCPeerConnection): MediaStreamTrack[] =>
  peer
    .getTransceivers()
    .filter(({ currentDirection }) => currentDirection?.includes('recv'))
    .map(({ receiver }) => receiver.track);
