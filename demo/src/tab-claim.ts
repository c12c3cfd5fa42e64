// Claims a name for this tab. Browsers copy sessionStorage to a duplicated tab, so another tab may already use the stored
// device.

/** Time for the tab that has the name to answer, and for a document that is being reloaded to release the name. */
const WITHIN_MS = 1000;

/**
 * Claims a name until the document is closed. Resolves to false if another tab has the name. If several tabs claim a name
 * at the same time, at most one succeeds.
 */
export const claim = (name: string): Promise<boolean> =>
  // Web Locks exist only in secure contexts. A server in a local network often uses plain HTTP.
  navigator.locks ? lock(name) : ask(name);

function lock(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise<never>(() => {});
    };
    navigator.locks
      .request(name, { signal: AbortSignal.timeout(WITHIN_MS) }, held)
      .catch(() => resolve(false));
  });
}

function ask(name: string): Promise<boolean> {
  const channel = new BroadcastChannel(name);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), WITHIN_MS);
    channel.onmessage = ({ data }) => {
      if (data === 'is it taken?') {
        // Answer also while this tab still waits itself, because its claim is older. If both asked at once, both fail.
        channel.postMessage('taken');
      } else if (data === 'taken') {
        clearTimeout(timer);
        resolve(false);
      }
    };
    channel.postMessage('is it taken?');
  }).then((isFree) => {
    if (!isFree) channel.close();
    return isFree as boolean;
  });
}
