// Runs all checks of a server in order, and always purges the test data at the end.
import { type Check, type Finding, notApplicable, runCheck } from './check.js';
import { allocationCheck } from './checks/allocation.js';
import { cleanUpCheck } from './checks/clean-up.js';
import { corsCheck } from './checks/cors.js';
import { forwardingCheck } from './checks/forwarding.js';
import { httpCheck } from './checks/http.js';
import { type HandedOut, iceServersCheck } from './checks/ice-servers.js';
import { pairingCheck } from './checks/pairing.js';
import { pushCheck } from './checks/push.js';
import { relayFromOutsideCheck } from './checks/relay-from-outside.js';
import { relayToItselfCheck } from './checks/relay-to-itself.js';
import { stunBindingCheck } from './checks/stun-binding.js';
import { webSocketCheck } from './checks/web-socket.js';
import { IceTarget, parseIceUrl } from './ice-target.js';
import type { Endpoint, Site } from './site.js';

export interface Result {
  id: string;
  title: string;
  /** The URL of the ICE server; null for the Couplet server itself. */
  target: string | null;
  status: Finding['status'];
  detail: string;
  /** Advice to fix the fault; null if there is no fault. */
  advice: string | null;
  ms: number;
}

export interface DiagnosisDeps {
  /** Time limit of one check. */
  limitMs: number;
  /** Aborted to skip the remaining checks. */
  stop: AbortSignal;
  /** Called with each result. */
  onResult: (result: Result) => void;
}

/** Begins the advice for a TURN server whose credentials the server did not make itself. */
const OF_A_PROVIDER =
  'If a provider runs this TURN server (ICE_SERVERS_URL), check its status, your account and your quota there. If it is in ICE_SERVERS_EXTRA, check the entry. If it is your own coturn: ';

/** Limits the URLs to test. Browsers already warn at five servers. */
const MOST_URLS = 32;

export async function diagnose(site: Site, deps: DiagnosisDeps): Promise<Result[]> {
  const results: Result[] = [];
  const { limitMs, onResult } = deps;
  type Subject = { server: Endpoint; ca?: string | undefined };
  const add = <S extends Subject>(check: Check<S>, target: string | null, f: Finding, ms = 0) => {
    const advice = f.status === 'failed' ? f.advice : null;
    const { id, title } = check;
    const result = { id, title, target, status: f.status, detail: f.detail, advice, ms };
    results.push(result);
    onResult(result);
  };
  const ask = async <S extends Subject, Value>(
    check: Check<S, Value>,
    subject: S,
    { target = null, stop = deps.stop }: { target?: string | null; stop?: AbortSignal } = {},
  ): Promise<{ ok: boolean; value?: Value }> => {
    const began = performance.now();
    const found = stop.aborted
      ? notApplicable('interrupted')
      : await runCheck(check, subject, { limitMs, stop });
    const isForeign = subject instanceof IceTarget && subject.isForeign;
    const told =
      found.status === 'failed' && isForeign
        ? { ...found, advice: OF_A_PROVIDER + found.advice }
        : found;
    add(check, target, told, Math.round(performance.now() - began));
    if (found.status !== 'passed') return { ok: false };
    return found.value === undefined ? { ok: true } : { ok: true, value: found.value };
  };
  const skip = (checks: Check<never>[], target: string | null, reason: string) => {
    for (const check of checks) add(check, target, notApplicable(reason));
  };

  if (!(await ask(httpCheck, site)).ok) {
    const paired = [pairingCheck, forwardingCheck, iceServersCheck];
    skip([corsCheck, webSocketCheck, pushCheck, ...paired], null, 'needs HTTP');
    return results;
  }
  await ask(corsCheck, site);
  const upgraded = (await ask(webSocketCheck, site)).ok;
  await ask(pushCheck, site);
  try {
    const { value: room } = await ask(pairingCheck, site);
    // A room can be joined without a pairing, so forwarding can be tested even if the pairing failed.
    const meeting = { ...site, roomId: room?.roomId ?? site.devices[0] };
    if (upgraded) await ask(forwardingCheck, meeting);
    else skip([forwardingCheck], null, 'needs the WebSocket');
    if (room === undefined) skip([iceServersCheck], null, 'needs a pairing');
    else await examineAll((await ask(iceServersCheck, meeting)).value ?? []);
  } finally {
    // Also after a failure, because a request without an answer may still have created a room.
    await ask(cleanUpCheck, site, { stop: new AbortController().signal });
  }
  return results;

  async function examineAll(handedOut: HandedOut[]): Promise<void> {
    let udp: IceTarget['udp'] = 'unknown';
    for (const { url, server } of handedOut.slice(0, MOST_URLS)) {
      const parsed = parseIceUrl(url);
      if (parsed === undefined) {
        const advice =
          'Browsers refuse the whole list because of this URL. Correct it in the settings.';
        const detail = 'is not a STUN or TURN URL';
        add(stunBindingCheck, url, { status: 'failed', detail, advice });
      } else if (parsed.transport === 'dtls') {
        skip([stunBindingCheck], url, 'TURN over DTLS: not supported by browsers or by the doctor');
      } else {
        const { transport } = parsed;
        const target = new IceTarget(url, { ...parsed, transport }, server, site.ca);
        target.udp = udp;
        const answers = await examine(target);
        if (transport === 'udp' && udp !== 'works') udp = answers ? 'works' : 'fails';
      }
    }
  }

  /** Tests one ICE server. Resolves to whether it answers. */
  async function examine(target: IceTarget): Promise<boolean> {
    const at = { target: target.url };
    const rest = [allocationCheck, relayToItselfCheck, relayFromOutsideCheck];
    try {
      const answers = (await ask(stunBindingCheck, target, at)).ok;
      if (target.kind === 'stun') return answers;
      if (!answers) skip(rest, target.url, 'needs an answer');
      else if (!(await ask(allocationCheck, target, at)).ok)
        skip(rest.slice(1), target.url, 'needs an allocation');
      else {
        await ask(relayToItselfCheck, target, at);
        await ask(relayFromOutsideCheck, target, at);
      }
      return answers;
    } finally {
      await target.close();
    }
  }
}
