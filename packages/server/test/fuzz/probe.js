// Loaded before the server under fuzz (`node --expose-gc --import`): tells its heap and its handles when asked over IPC.
import { setImmediate as turn } from 'node:timers/promises';

process.on('message', async () => {
  // Several rounds: what a finaliser or a promise lets go of is garbage one turn later.
  for (let round = 0; round < 4; round++) {
    await turn();
    globalThis.gc();
  }
  const handles = {};
  for (const name of process.getActiveResourcesInfo()) handles[name] = (handles[name] ?? 0) + 1;
  process.send({ heapBytes: process.memoryUsage().heapUsed, handles });
});
// The parent may go without a word: then nobody is left to stop this server.
process.on('disconnect', () => process.exit(1));
