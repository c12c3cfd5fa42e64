// npm run db:init: creates or migrates the database. Never drops data.
import { prepare, ROOT } from './prepare.js';

await prepare();
process.argv.splice(2, Number.POSITIVE_INFINITY, 'db:init');
await import(`${ROOT}packages/server/dist/main.js`);
