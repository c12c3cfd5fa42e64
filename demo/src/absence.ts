// Detects that the other device has left the session, or cannot be reached.
import type { PeerSession } from '@couplet/client';

/** A device that reloads its page is back sooner. */
const ABSENT_AFTER_MS = 3000;

/** `left`: on purpose. `lost`: its page was closed or it is offline. */
export type Absence = 'left' | 'lost';

/** Calls back now and after each change, with the reason why the other device is absent, or undefined if it is present. */
export function watchAbsence(
  session: PeerSession,
  signal: AbortSignal,
  onChange: (absence: Absence | undefined) => void,
): void {
  let hasLeft = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const check = () => {
    clearTimeout(timer);
    const { state, signaling } = session;
    if (state === 'connected' || signaling === 'ready') hasLeft = false;
    if (hasLeft) return onChange('left');
    onChange(undefined);
    // The channel may work although the other device is not connected to the server, and the reverse.
    if (state === 'connected' || signaling !== 'joined') return;
    timer = setTimeout(() => onChange('lost'), ABSENT_AFTER_MS);
  };
  session.on('state', check);
  session.on('signaling', check);
  session.on('peer-left', () => {
    hasLeft = true;
    check();
  });
  signal.addEventListener('abort', () => clearTimeout(timer));
  check();
}
