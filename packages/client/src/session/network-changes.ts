// Detects network changes by the `online` event and the Network Information API, if the platform has them.

/**
 * Calls back after every network change. Returns a function that stops it.
 *
 * The Network Information API also fires for new bandwidth estimates on the same network. Only a new `type`, such as from
 * Wi-Fi to cellular, counts as a change. Platforms without that API, and desktop Chromium, which has no `type`, only
 * provide `online`.
 */
export function onNetworkChange(callback: () => void, platform: object = globalThis): () => void {
  const { navigator } = platform as {
    navigator?: Partial<Navigator> & { connection?: Connection };
  };
  const connection = navigator?.connection;
  let type = connection?.type;
  const changed = () => {
    type = connection?.type;
    callback();
  };
  const estimated = () => {
    // While the device is offline, nothing can be reached. `online` follows later.
    if (connection?.type !== type && navigator?.onLine !== false) changed();
  };
  const sources: [Partial<EventTarget> | undefined, string, () => void][] = [
    [platform as Partial<EventTarget>, 'online', changed],
    [connection, 'change', estimated],
  ];
  for (const [target, name, listener] of sources) target?.addEventListener?.(name, listener);
  return () => {
    for (const [target, name, listener] of sources) target?.removeEventListener?.(name, listener);
  };
}

interface Connection extends Partial<EventTarget> {
  readonly type?: string;
}
