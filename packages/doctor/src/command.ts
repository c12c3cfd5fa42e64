// The command `couplet doctor`: its arguments, what it prints, and its exit code.
import { parseArgs } from 'node:util';
import { diagnose, type Result } from './diagnosis.js';
import { allIsWell, type Look, renderHead, renderResult, renderSum, toJson } from './report.js';
import { siteAt } from './site.js';

export const DEFAULT_ADDRESS = 'http://localhost:8080';

export const DOCTOR_HELP = `Usage: couplet doctor [options] [address]

Examines a running server from here, as an app would: HTTP, CORS, WebSocket, a pairing, a forwarded message, and every
STUN and TURN server that it hands out. Says what to do about each fault. What it leaves there it purges.
The address is like https://chat.example.org; without one it is ${DEFAULT_ADDRESS}.

Options:
  --json            print one JSON document instead of a table
  --origin ORIGIN   ask whether pages of this origin may call the API (where ALLOWED_ORIGINS is a list)
  --help            show this

Exit code: 0 all is well, 1 something failed, 2 wrong usage.
`;

/** How long one check may take. */
const LIMIT_MS = 5000;

export interface DoctorDeps {
  write(text: string): void;
  look: Look;
  /** Aborted by Ctrl-C: what is left there is still purged. */
  stop: AbortSignal;
  limitMs?: number;
  /** Certificates to trust instead of the system's. */
  ca?: string;
}

/**
 * Runs the command; resolves to its exit code, 0 or 1.
 *
 * @throws Error in one plain line, before anything is asked, where the arguments are wrong
 */
export async function doctor(args: readonly string[], deps: DoctorDeps): Promise<number> {
  const { write, look, stop, limitMs = LIMIT_MS, ca } = deps;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      origin: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    write(DOCTOR_HELP);
    return 0;
  }
  const [address = DEFAULT_ADDRESS, ...rest] = positionals;
  if (rest.length > 0) throw new Error(`unexpected argument: ${rest[0]}`);
  const { json, origin } = values;
  const site = siteAt(address, { ...(origin ? { origin } : {}), ...(ca ? { ca } : {}) });
  let before: Result | undefined;
  const onResult = (result: Result) => {
    if (!json) write(renderResult(result, before, look));
    before = result;
  };
  if (!json) write(renderHead(site.base, look));
  const results = await diagnose(site, { limitMs, stop, onResult });
  write(json ? toJson(site.base, results) : renderSum(results, look));
  return allIsWell(results) && !stop.aborted ? 0 : 1;
}
