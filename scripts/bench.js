// npm run bench, bench:check, bench:profile: builds the measuring programs of bench/, and runs the one that is named first.
import { prepare, ROOT, run } from './prepare.js';

await prepare();
run(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, '-b', `${ROOT}bench`]);
const [program, ...options] = process.argv.slice(2);
process.argv.splice(2, Number.POSITIVE_INFINITY, ...options);
await import(`${ROOT}bench/dist/${program}.js`);
