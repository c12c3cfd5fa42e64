// Opens the push services of the configuration, or an idle notifier if there are none.
import { PLATFORMS } from '@couplet/protocol';
import { hasPush } from '../settings/push.js';
import type { Notifier, NotifierDeps } from './notifier.js';

/**
 * Opens the push services of the configuration. Without any, their modules are not loaded.
 *
 * @throws ConfigError if credentials cannot be used
 */
export async function openNotifier(deps: NotifierDeps): Promise<Notifier> {
  if (!hasPush(deps.config)) {
    deps.log.info('push notifications are off, because no push service is configured');
    return NOTHING;
  }
  const { openServices } = await import('./services.js');
  const notifier = await openServices(deps);
  const { platforms } = notifier;
  const without = PLATFORMS.filter((platform) => !platforms.has(platform));
  deps.log.info({ platforms: [...platforms], without }, 'push notifications are on');
  return notifier;
}

/** The notifier of a server without push services. */
const NOTHING: Notifier = {
  platforms: new Set(),
  notify: async () => ({ kind: 'dropped' }),
  close: async () => {},
};
