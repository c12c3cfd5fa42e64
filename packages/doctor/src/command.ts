// Implements the command `couplet doctor`: arguments, output and exit code.
import { parseArgs } from 'node:util';
import { diagnose, type Result } from './diagnosis.js';
import { type Look, noneFailed, renderHead, renderResult, renderSum, toJson } from './report.js';
import { siteAt } from './site.js';

export const DEFAULT_ADDRESS = 'http://localhost:8080';

export const DOCTOR_HELP = `Usage: couplet doctor [options] [address]

Tests a running server from this machine, in the role of an app: HTTP, CORS, WebSocket, a pairing, a forwarded message,
and every STUN and TURN server that the server provides. Prints advice for each fault. At the end it deletes its test data
from the server. The address is a URL such as https://chat.example.org. It defaults to ${DEFAULT_ADDRESS}.

Options:
  --json            print one JSON document instead of a table
  --origin ORIGIN   check if pages of this origin can call the API (if ALLOWED_ORIGINS is a list)
  --help            show this help

Exit code: 0 no check failed, 1 a check failed, 2 wrong usage.
`;

/** Time limit of one check. */
const LIMIT_MS = 5000;

export interface DoctorDeps {
  write(text: string): void;
  look: Look;
  /** Aborted by Ctrl-C. The test data is still purged from the server. */
  stop: AbortSignal;
  limitMs?: number;
  /** Certificates to trust instead of the system's. */
  ca?: string;
}

/**
 * Runs the command. Resolves to its exit code, 0 or 1.
 *
 * @throws Error with one line of text, before any request, if the arguments are wrong
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
  return noneFailed(results) && !stop.aborted ? 0 : 1;
}
