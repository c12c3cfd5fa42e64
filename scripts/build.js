// npm run build: builds the packages, then the pages that the server serves. Installs nothing; the Dockerfile uses it too.

import { buildPages } from './pages.js';
import { compile } from './prepare.js';
import { bundleTypebox } from './typebox.js';

compile();
await bundleTypebox();
await buildPages();
