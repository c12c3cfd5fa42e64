// Checks that the server answers `GET /` at this address.
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
          'GET / was answered without Cache-Control: no-store',
          'A proxy changes the header. It must forward the header unchanged and cache nothing. With cached answers, apps see deleted rooms and miss new ones.',
        );
      return passed(name ? `${name} answers` : `GET / answers ${status}`);
    }
    if (errorCode(answer) === 'forbidden')
      return failed(
        `GET / answered ${status} forbidden`,
        'ALLOWED_HOSTS does not list the host name of this address. Add it. If it is listed, a proxy replaces Host and must forward it instead.',
      );
    const target = headers.location && redirectTarget(headers.location, site.base);
    if (status >= 300 && status < 400 && target)
      return failed(
        `GET / answered ${status} and leads to ${target}`,
        `Apps do not follow redirects of other requests: give them ${target}, and run the doctor on that address.`,
      );
    if (status >= 502 && status <= 504)
      return failed(
        `GET / answered ${status}`,
        'A proxy answers, but the server behind it does not. Start the server, or correct its address in the proxy.',
      );
    return failed(
      `GET / answered ${status}`,
      'It must be 200. Something other than Couplet answers, or a proxy answers this path itself.',
    );
  },
};

function redirectTarget(location: string, base: string): string | undefined {
  if (!URL.canParse(location, base)) return undefined;
  const { origin, pathname } = new URL(location, base);
  return origin + pathname.replace(/\/+$/, '');
}
