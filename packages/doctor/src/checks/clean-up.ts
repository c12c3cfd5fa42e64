// Purges the two test devices of the doctor from the server.
import { type Check, failed, notApplicable, passed } from '../check.js';
import { call, errorCode } from '../http-call.js';
import type { Site } from '../site.js';

export const cleanUpCheck: Check<Site> = {
  id: 'clean-up',
  title: 'Clean-up',
  async run(site, signal) {
    const secrets = site.secrets.filter((secret) => secret !== undefined);
    const body = { deviceIds: site.devices, secrets };
    const answer = await call(site, signal, 'POST', '/api/user/purge', { body });
    if (errorCode(answer) === 'rooms_api_disabled') return notApplicable('nothing is stored there');
    if (answer.status === 200) return passed('the two test devices were deleted');
    return failed(
      `POST /api/user/purge answered ${answer.status}`,
      `The room of the two test devices remains. To delete it later: curl ${site.base}/api/user/purge -H 'content-type: application/json' -d '${JSON.stringify(body)}'`,
    );
  },
};
