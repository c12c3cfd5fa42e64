// The main job on every supported Node.js: a server starts, pairs two devices, forwards a message and stops.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pairDevices } from '@couplet/testkit/api';
import { startCommand } from '@couplet/testkit/command';
import { pairOfPeers } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { describe, expect, test } from 'vitest';
import { NODE_LINES, nodeRelease } from '../scripts/node-release.js';
import { ROOT } from './support.js';

const folder = temporaryFolder();
/** Number of servers in a row, each with the database of the last one: faults at a start or shutdown are rare. */
const RUNS = 5;
const { engines } = JSON.parse(readFileSync(`${ROOT}packages/server/package.json`, 'utf8'));
const OLDEST = engines.node.replace('>=', '');

describe.each([OLDEST, ...NODE_LINES])('on Node %s', (version) => {
  test('successive servers pair, forward and exit with code 0', async () => {
    const node = join(nodeRelease(version, `${ROOT}node_modules/.node-releases`), 'node');
    for (let run = 0; run < RUNS; run++) {
      const env = { SQLITE_DB_PATH: join(folder, `${version}.db`) };
      const { listening, child, ended } = startCommand(['serve', '--sqlite'], { node, env });
      const url = await listening;
      const { roomid } = await pairDevices(url);
      const [first, second] = await pairOfPeers(url.replace('http', 'ws'), roomid);
      first.send({ type: 'webrtc_offer', sdp: 'v=0' });
      expect(await second.next('webrtc_offer')).toMatchObject({ sdp: 'v=0' });
      child.kill('SIGTERM');
      expect(await ended).toMatchObject({ code: 0, stderr: '' });
    }
  });
});

test.each(['packages/server/bin/couplet.js', 'scripts/start.js'])(
  '%s on an older Node.js prints one line: what is needed, what is there',
  (script) => {
    const older = join(folder, 'older.mjs');
    writeFileSync(
      older,
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } });",
    );
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', older, ROOT + script],
      { encoding: 'utf8' },
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(`couplet: needs Node.js ${OLDEST} or newer; this is 18.20.8\n`);
  },
);
