// Detects network changes by the `online` event and the Network Information API, if the platform has them.

/**
 * Calls back after every network change. Returns a function that stops it.
 *
 * The Network Information API also fires for new bandwidth estimates on the same network. Only a new `type`, such as from
 * Wi-Fi to cellular, counts as a change. Platforms without that API, and desktop Chromium, which has no `type`, only
 * provide `online`.
 */
export function onNetworkChange(callback: () => void, platform: Platform = globalThis): () => void {
  const { navigator } = platform;
  const connection = navigator?.connection;
  let type = connection?.type;
  const listener = ({ type: event }: Event) => {
    const before = type;
    type = connection?.type;
    // While the device is offline, nothing can be reached. `online` follows later.
    if (event === 'online' || (type !== before && navigator?.onLine !== false)) callback();
  };
  platform.addEventListener?.('online', listener);
  connection?.addEventListener?.('change', listener);
  return () => {
    platform.removeEventListener?.('online', listener);
    connection?.removeEventListener?.('change', listener);
  };
}

interface Platform extends Partial<EventTarget> {
  readonly navigator?: Partial<Navigator> & { connection?: Connection };
}

interface Connection extends Partial<EventTarget> {
  readonly type?: string | undefined;
}
