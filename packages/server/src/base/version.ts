// Name and version of this package, from its own package.json.
import { readFileSync } from 'node:fs';

const manifest: { version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

export const VERSION = manifest.version;

/** What the server calls itself in `connected`, on its page and in the OpenAPI document. */
export const SERVER_NAME = `Couplet ${VERSION}`;
