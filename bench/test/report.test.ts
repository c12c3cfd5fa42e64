// Output of the figures: a document, costs of a profile.
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { ROOT } from '../../test/support.js';
import { writePaper } from '../src/report/paper.js';
import { largestCosts } from '../src/report/profile.js';
import { readResults } from '../src/report/results.js';
import { SCENARIO_NAMES } from '../src/scenarios/all.js';

test('the documents match results.json for every scenario (npm run bench -- --paper)', () => {
  const docs = temporaryFolder();
  const papers = ['performance.md', 'cluster.md', 'cluster-size.html'];
  for (const paper of papers) copyFileSync(`${ROOT}docs/${paper}`, join(docs, paper));
  const results = readResults(`${ROOT}docs/performance`);
  expect(Object.keys(results).sort()).toEqual([...SCENARIO_NAMES].sort());
  writePaper(docs, results);
  for (const file of papers) {
    expect(
      readFileSync(join(docs, file), 'utf8') === readFileSync(`${ROOT}docs/${file}`, 'utf8'),
      file,
    ).toBe(true);
  }
});

test('a profile counts the samples of its span, by function, without idle time', () => {
  const node = (id: number, functionName: string, url: string) => ({
    id,
    callFrame: { functionName, url, lineNumber: 0 },
  });
  const costs = largestCosts(
    {
      nodes: [
        node(1, '(root)', ''),
        node(2, '(idle)', ''),
        node(3, 'ours', 'file:///some/where/packages/server/dist/a.js'),
        node(4, 'library', '/some/where/node_modules/ws/lib/b.js'),
        node(5, 'library', '/some/where/node_modules/ws/lib/b.js'),
      ],
      startTime: 1000,
      samples: [3, 3, 4, 5, 2, 4],
      timeDeltas: [0, 100, 100, 100, 100, 100],
    },
    1050,
    1450,
  );
  expect(costs).toEqual([
    { name: 'library', place: 'node_modules/ws/lib/b.js:1', share: expect.closeTo(2 / 3) },
    { name: 'ours', place: 'server/dist/a.js:1', share: expect.closeTo(1 / 3) },
  ]);
});
