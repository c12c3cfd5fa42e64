// The attacker of `npm run bench -- abuse`: attacker.js <mix> <port> <seconds>. Ends by itself after that time.
import { MIXES, type MixName, yieldCore } from './abuse-mixes.js';

const [mix, port, seconds] = process.argv.slice(2);
setTimeout(() => process.exit(0), Number(seconds) * 1000);
yieldCore();
MIXES[mix as MixName].start(Number(port));
