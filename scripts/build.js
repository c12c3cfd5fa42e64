// npm run build: builds the packages, then the pages that the server serves. With --server: only what a server needs, without a type
// check, for the Dockerfile. Installs nothing.
import { buildBundles, buildServer, compile } from './prepare.js';

if (process.argv.includes('--server')) await buildServer();
else {
  compile();
  await buildBundles();
}
