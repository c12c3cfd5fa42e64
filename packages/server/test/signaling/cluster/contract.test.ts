// The backplane of a cluster keeps the backplane contract, over shared parts in memory: on one node, and where peers live apart.
import { backplaneContract } from '../../contract/backplane.js';
import { FakeNodes } from '../../support/cluster-nodes.js';

backplaneContract('a cluster of one', async (connections) => new FakeNodes(connections, 1));
backplaneContract('a cluster of three', async (connections) => new FakeNodes(connections, 3));
