// npm start: installs and builds if needed, and starts the server with the rooms API.
import { prepare, ROOT } from './prepare.js';

await prepare();
process.argv.splice(2, Number.POSITIVE_INFINITY, 'serve', '--sqlite');
await import(`${ROOT}packages/server/dist/main.js`);
