// Does the server answer HTTP at this address at all? `GET /`, as an app's settings page asks.
import { type Check, failed, passed } from '../check.js';
import { call, errorCode } from '../http-call.js';
import type { Site } from '../site.js';

export const httpCheck: Check<Site> = {
  id: 'http',
  title: 'HTTP',
  async run(site, signal) {
    const answer = await call(site, signal, 'GET', '/');
    const { status, headers, text } = answer;
    if (status >= 200 && status < 300) {
      const name = /^(Couplet [\w.+-]{1,40}) is running$/.exec(text.trim())?.[1];
      if (name && !headers['cache-control']?.includes('no-store'))
        return failed(
          'GET / came without Cache-Control: no-store',
          'A proxy changes the header. Make it pass on the header unchanged and cache nothing; with cached answers, apps see deleted rooms and miss new ones.',
        );
      return passed(name ? `${name} answers` : `GET / answers ${status}`);
    }
    if (errorCode(answer) === 'forbidden')
      return failed(
        `GET / answered ${status} forbidden`,
        'ALLOWED_HOSTS does not list the name by which the server was called. Add it; if it is there, a proxy in front replaces Host and must pass it on.',
      );
    const target = headers.location && redirectTarget(headers.location, site.base);
    if (status >= 300 && status < 400 && target)
      return failed(
        `GET / answered ${status} and leads to ${target}`,
        `Apps follow no redirect to other requests: give them ${target}, and run the doctor on that.`,
      );
    if (status >= 502 && status <= 504)
      return failed(
        `GET / answered ${status}`,
        'A proxy answers, but not the server behind it: start the server, or correct its address in the proxy.',
      );
    return failed(
      `GET / answered ${status}`,
      'It must be 200. Something else than Couplet answers, or a proxy keeps this path for itself.',
    );
  },
};

function redirectTarget(location: string, base: string): string | undefined {
  if (!URL.canParse(location, base)) return undefined;
  const { origin, pathname } = new URL(location, base);
  return origin + pathname.replace(/\/+$/, '');
}
