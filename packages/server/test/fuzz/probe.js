// Preloaded into the server under fuzz: writes its heap and handles on SIGUSR2.
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');

process.on('SIGUSR2', async () => {
  // Several rounds, because objects released by a finalizer or a promise become garbage one turn later.
  for (let round = 0; round < 4; round++) {
    await turn();
    gc();
  }
  const handles = {};
  for (const name of process.getActiveResourcesInfo()) handles[name] = (handles[name] ?? 0) + 1;
  const measure = { heapBytes: process.memoryUsage().heapUsed, handles };
  process.stdout.write(`measure: ${JSON.stringify(measure)}\n`);
});
