// npm run build: builds the packages, then the pages that the server serves. Installs nothing; the Dockerfile uses it too.
import { buildBundles, compile } from './prepare.js';

compile();
await buildBundles();
