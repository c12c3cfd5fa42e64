// npm run doctor: tests a running server from this machine. Usage: `npm run doctor -- https://chat.example.org`
import { runServer } from './run-server.js';

await runServer('doctor');
