// Reports which devices the server can wake. It cannot test the credentials, which only the server has.
import { type Check, notApplicable, passed } from '../check.js';
import { call } from '../http-call.js';
import type { Site } from '../site.js';

export const pushCheck: Check<Site> = {
  id: 'push',
  title: 'Push',
  async run(site, signal) {
    const { status, json } = await call(site, signal, 'GET', '/api/push');
    // Older servers do not have the route.
    if (status !== 200) return notApplicable(`GET /api/push answered ${status}`);
    const platforms = json?.platforms;
    return Array.isArray(platforms) && platforms.length > 0
      ? passed(
          `wakes ${platforms.slice(0, 3).join(', ')}; couplet push:check tests the credentials`,
        )
      : notApplicable('no push service is configured');
  },
};
