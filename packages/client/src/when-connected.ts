// Waiting for a session to be connected: until it is, until it never will be, or until the caller has enough.
import { CoupletError } from './errors.js';
import type { PeerSession } from './peer-session.js';
import type { SessionState } from './session-events.js';

export function whenConnected<Session extends PeerSession>(
  session: Session,
  signal?: AbortSignal,
): Promise<Session> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      for (const each of stops) each();
    };
    const giveUp = (error: CoupletError) => {
      stop();
      reject(error);
      session.close();
    };
    const onError = (error: CoupletError) => {
      // One description that cannot be applied is not final: the next one may be better. But without a peer connection
      // the platform has refused the configuration.
      if (error.code !== 'negotiation_failed' || !session.peer) giveUp(error);
    };
    const onAbort = () => giveUp(CoupletError.aborted(signal));
    const look = (state: SessionState) => {
      if (state === 'connected') {
        stop();
        resolve(session);
      } else if (state === 'closed') giveUp(new CoupletError('closed'));
    };
    const stops = [
      session.on('state', look),
      session.on('error', onError),
      () => signal?.removeEventListener('abort', onAbort),
    ];
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    else look(session.state);
  });
}
