// The cluster backplane passes the backplane contract, over shared parts in memory: with peers on one node and on several.
import { backplaneContract } from '../../contract/backplane.js';
import { FakeNodes } from '../../support/cluster-nodes.js';

backplaneContract('a cluster of one', async (connections) => new FakeNodes(connections, 1));
backplaneContract('a cluster of three', async (connections) => new FakeNodes(connections, 3));
