// Opens camera, microphone and screen, and describes their errors to the user.

/** Opens the microphone, and the camera if wanted. Rejects with the browser's DOMException. */
export async function openMedia(wants: { video: boolean }): Promise<MediaStream> {
  // The API is missing in insecure contexts.
  if (navigator.mediaDevices === undefined) throw new DOMException('', 'SecurityError');
  return navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true },
    video: wants.video && { width: { ideal: 1280 }, height: { ideal: 720 } },
  });
}

/** Browsers of phones have no screen sharing. */
export const canShareScreen = (): boolean =>
  typeof navigator.mediaDevices?.getDisplayMedia === 'function';

export const openScreen = (): Promise<MediaStream> =>
  navigator.mediaDevices.getDisplayMedia({ video: true });

export function mediaWords(error: unknown): string {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'The browser did not allow the camera or the microphone. You can allow it in the address bar.';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'This device has no such camera or microphone.';
    case 'NotReadableError':
      return 'The camera or microphone is in use by another program.';
    case 'SecurityError':
      return 'Browsers allow camera and microphone only on pages over https, or from localhost.';
    default:
      return 'The camera or microphone did not start.';
  }
}
