// npm run doctor: tests a running server from this machine. Usage: `npm run doctor -- https://chat.example.org`
import { prepare, ROOT } from './prepare.js';

await prepare();
process.argv.splice(2, 0, 'doctor');
await import(`${ROOT}packages/server/dist/main.js`);
