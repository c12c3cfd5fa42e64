// npm run bench, bench:check, bench:profile: builds the programs in bench/ and runs the one named by the first argument.
import { prepare, ROOT, run } from './prepare.js';

await prepare();
run(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, '-b', `${ROOT}bench`]);
const [program, ...options] = process.argv.slice(2);
process.argv.splice(2, Number.POSITIVE_INFINITY, ...options);
await import(`${ROOT}bench/dist/${program}.js`);
