// Reports changes of the network, if the platform does: the event `online`, and the Network Information API.

/**
 * Calls back after every change; the function returned stops that.
 *
 * The Network Information API also reports new estimates of the bandwidth on the same network. Only another `type`, from
 * Wi-Fi to cellular for example, is a change. Platforms without that API, and desktop Chromium, which has no `type`, are
 * left with `online`.
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
    // While the device is offline there is nothing to connect to, and `online` follows.
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
