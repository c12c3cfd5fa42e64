// npm start: from a fresh clone to a running server with the rooms API on.
import { prepare, ROOT } from './prepare.js';

await prepare();
process.argv.splice(2, Number.POSITIVE_INFINITY, 'serve', '--sqlite');
await import(`${ROOT}packages/server/dist/main.js`);
