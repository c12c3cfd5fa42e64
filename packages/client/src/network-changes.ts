// Tells of a change of the network, where the platform says so: `online`, and the Network Information API.

/** Calls back after every change; the function returned stops that. On a platform without such events it never calls. */
export function onNetworkChange(callback: () => void, platform: object = globalThis): () => void {
  const { navigator } = platform as { navigator?: { connection?: EventTarget } };
  const sources: [Partial<EventTarget> | undefined, string][] = [
    [platform as Partial<EventTarget>, 'online'],
    [navigator?.connection, 'change'],
  ];
  for (const [target, name] of sources) target?.addEventListener?.(name, callback);
  return () => {
    for (const [target, name] of sources) target?.removeEventListener?.(name, callback);
  };
}
