// Claims a name for this tab alone. Browsers copy sessionStorage into a duplicated tab, so what a tab finds there may be
// in use in another one.

/** How long the tab that has the name may take to answer, and a document that is being reloaded to let go of it. */
const WITHIN_MS = 1000;

/**
 * Resolves to whether no other tab has the name; if so, this one has it until its document is gone. Of tabs that claim
 * a name at the same time, at most one gets it.
 */
export const claim = (name: string): Promise<boolean> =>
  // Web Locks exist only in secure contexts, and a server on a local network is often none.
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
        // Also while this tab waits for an answer itself: it came first. If the two questions crossed, both tabs lose.
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
