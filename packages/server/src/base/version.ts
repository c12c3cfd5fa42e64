// Reads the version of this package from its package.json.
import { readFileSync } from 'node:fs';

const manifest: { version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

export const VERSION = manifest.version;

/** The name of the server in `connected`, on its page and in the OpenAPI document. */
export const SERVER_NAME = `Couplet ${VERSION}`;
