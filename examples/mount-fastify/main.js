// Starts the example: node main.js
import { start } from './server.js';

const { port, close } = await start(Number(process.env.PORT ?? 8080));
process.stdout.write(`http://localhost:${port}, and Couplet at http://localhost:${port}/couplet\n`);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close);
