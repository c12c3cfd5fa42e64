// The memory backplane passes the backplane contract.
import { createMemoryBackplane } from '../../src/signaling/memory-backplane.js';
import { backplaneContract } from '../contract/backplane.js';

backplaneContract('memory', async (connections) => {
  const backplane = createMemoryBackplane(connections);
  return { backplaneOf: () => backplane, settle: async () => {}, close: async () => {} };
});
