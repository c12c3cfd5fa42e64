// Provides a React hook for the calls of a session. It opens the camera, and releases it at the end of a call.
import type { PeerSession } from '@couplet/client';
import { type CallState, mediaOf, type ReceivedTrack } from '@couplet/client/media';
import { useEffect, useReducer } from 'react';

export interface UseCall {
  state: CallState;
  received: readonly ReceivedTrack[];
  /** Calls the peer, or answers. Rejects with the browser's error if there is no camera. */
  call(): Promise<void>;
  /** Ends, declines or gives up the call. */
  hangUp(): void;
}

export function useCall(session: PeerSession): UseCall {
  const media = mediaOf(session);
  const [, render] = useReducer((renders: number) => renders + 1, 0);
  useEffect(() => {
    let live: MediaStreamTrack[] = [];
    const stop = media.on('change', () => {
      const sent = media.sent.map(({ track }) => track);
      for (const track of live) if (!sent.includes(track)) track.stop();
      live = sent;
      render();
    });
    return () => {
      media.hangUp();
      stop();
    };
  }, [media]);
  return {
    state: media.callState,
    received: media.received,
    call: async () => {
      const isAnswer = media.callState === 'ringing';
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      if (isAnswer) media.answer(stream);
      else media.call(stream);
      // The peer may have given up meanwhile.
      if (media.callState === 'none') for (const track of stream.getTracks()) track.stop();
    },
    hangUp: () => media.hangUp(),
  };
}
