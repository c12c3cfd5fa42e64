// Preloaded into the server under fuzz (`node --expose-gc --import`): reports its heap and handles on request over IPC.
import { setImmediate as turn } from 'node:timers/promises';

process.on('message', async () => {
  // Several rounds, because objects released by a finalizer or a promise become garbage one turn later.
  for (let round = 0; round < 4; round++) {
    await turn();
    globalThis.gc();
  }
  const handles = {};
  for (const name of process.getActiveResourcesInfo()) handles[name] = (handles[name] ?? 0) + 1;
  process.send({ heapBytes: process.memoryUsage().heapUsed, handles });
});
// The parent may die without stopping this server.
process.on('disconnect', () => process.exit(1));
