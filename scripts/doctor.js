// npm run doctor: examines a running server, from here. `npm run doctor -- https://chat.example.org`
import { prepare, ROOT } from './prepare.js';

await prepare();
process.argv.splice(2, 0, 'doctor');
await import(`${ROOT}packages/server/dist/main.js`);
