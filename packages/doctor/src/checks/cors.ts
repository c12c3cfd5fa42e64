// Checks that pages in a browser can call the API: the preflight of a POST, and the CORS header of an answer.
import { type Check, type Finding, failed, passed } from '../check.js';
import { type Answer, call } from '../http-call.js';
import { ANY_ORIGIN, type Site } from '../site.js';

/** Headers of apps that need a preflight. */
const HEADERS = ['content-type', 'prefer'];

export const corsCheck: Check<Site> = {
  id: 'cors',
  title: 'CORS',
  async run(site, signal) {
    const { origin } = site;
    const preflight = await call(site, signal, 'OPTIONS', '/api/rooms', {
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': HEADERS.join(','),
      },
    });
    const plain = await call(site, signal, 'GET', '/', { headers: { origin } });
    if (preflight.status < 200 || preflight.status > 299)
      return failed(
        `the preflight (OPTIONS /api/rooms) answered ${preflight.status}`,
        'A proxy answers OPTIONS itself. It must forward every method.',
      );
    return (
      refusedOrigin(preflight, origin) ??
      refusedOrigin(plain, origin) ??
      missing(preflight, 'access-control-allow-methods', ['post']) ??
      missing(preflight, 'access-control-allow-headers', HEADERS) ??
      passed(`${origin === ANY_ORIGIN ? 'any page' : origin} may call the API`)
    );
  },
};

function refusedOrigin({ headers }: Answer, origin: string): Finding<never> | undefined {
  const allowed = headers['access-control-allow-origin'];
  if (allowed === '*' || allowed === origin) return undefined;
  if (allowed?.includes(','))
    return failed(
      'Access-Control-Allow-Origin is sent twice, which browsers refuse',
      'A proxy adds it too. Remove it there, because Couplet sends it.',
    );
  const page = origin === ANY_ORIGIN ? 'any page' : `pages of ${origin}`;
  // A server with a list sends `Vary: Origin`. A proxy that removes headers does not.
  if (listed(headers.vary).includes('origin'))
    return failed(
      `the API is not open to ${page}`,
      origin === ANY_ORIGIN
        ? 'ALLOWED_ORIGINS allows only the listed origins. Add those of your pages, and run the doctor with --origin https://your.page. If no page calls the API, no change is needed.'
        : `Add ${origin} to ALLOWED_ORIGINS, and restart the server.`,
    );
  return failed(
    'the answer has no Access-Control-Allow-Origin',
    'A proxy removes the header, or something other than Couplet answers. A proxy must forward Access-Control-* unchanged.',
  );
}

function missing(
  { headers }: Answer,
  header: 'access-control-allow-methods' | 'access-control-allow-headers',
  needed: string[],
): Finding<never> | undefined {
  const names = listed(headers[header]);
  const absent = needed.filter((name) => !names.includes(name) && !names.includes('*'));
  if (absent.length === 0) return undefined;
  return failed(
    `the preflight does not allow ${absent.join(', ')}`,
    `A proxy sends its own ${header}. It must forward that of Couplet.`,
  );
}

const listed = (header: string | undefined): string[] =>
  (header ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
