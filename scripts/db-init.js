// npm run db:init: creates or migrates the database. Never drops data.
import { runServer } from './run-server.js';

await runServer('db:init');
