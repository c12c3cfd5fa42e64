// A property of verified pairings: whatever is lost, repeated, reloaded or reconnected, two honest devices always end
// verified and connected, or with an error that says what to do.
import { FakeClock } from '@couplet/testkit/fake-clock';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PeerSession } from '../../src/session/peer-session.js';
import { type Known, spent, verifying } from '../../src/verify/verified-signaling.js';
import { RTCPeerConnection } from '../support/fake-device.js';
import { FakeRoom, type Fault } from '../support/fake-room.js';
import { core } from '../support/verified-end.js';

const secrets = { code: '042137482910', link: '042137.AAECAwQFBgcICQoLDA0ODw' };

/** Number of WebCrypto operations in progress, which no clock of the test moves. */
let working = 0;

function countCrypto(): void {
  const { subtle } = crypto;
  const counted = new Proxy(subtle, {
    get:
      (_, name: keyof SubtleCrypto) =>
      async (...args: never[]) => {
        working += 1;
        try {
          return await (subtle[name] as (...args: never[]) => Promise<unknown>).apply(subtle, args);
        } finally {
          working -= 1;
        }
      },
  });
  const getRandomValues = crypto.getRandomValues.bind(crypto);
  vi.stubGlobal('crypto', { subtle: counted, getRandomValues });
  onTestFinished(() => void vi.unstubAllGlobals());
}

/** Resolves once nothing happens any more until the clock moves. */
async function idle(): Promise<void> {
  for (let quiet = 0; quiet < 12; quiet++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (working > 0) quiet = 0;
  }
}

/** One device: its application resumes the saved pairing after a reload. */
class End {
  readonly #open: (known: Known) => PeerSession;
  session: PeerSession;
  /** What the application shows. */
  error: string | undefined;

  constructor(room: FakeRoom, clock: FakeClock, deviceId: string, known: Known) {
    this.#open = (known) => {
      const session = new PeerSession({
        ...{ url: 'ws://server/', roomId: 'room', deviceId, RTCPeerConnection, clock },
        ...{
          WebSocket: room.socketOf(deviceId),
          random: () => 1,
          Signaling: verifying(core, known),
        },
      });
      session.on('error', ({ code }) => {
        this.error = code;
      });
      session.on('state', (state) => {
        if (state === 'connected') expect(session.trust).toMatch(/^(code|saved)$/);
      });
      return session;
    };
    this.session = this.#open(known);
  }

  reload(): void {
    const { key } = this.session.save();
    this.session.close();
    if (this.error) return;
    const [role, saved] = (key ?? '').split('.');
    // As `Couplet.resume` does it.
    if (saved) this.session = this.#open({ role: role as 'a', key: saved });
    else this.error = 'unverified_peer';
  }

  get outcome(): string {
    const { state, trust } = this.session;
    if (this.error) return this.error;
    return state === 'connected' ? `connected, ${trust}` : 'waiting';
  }
}

type Plan = readonly { at: number; fault: Fault }[];

/** Runs a pairing with faults at the given messages. Resolves to the outcomes, and to the number of messages. */
async function run(plan: Plan, kind: keyof typeof secrets = 'code') {
  const [room, clock] = [new FakeRoom('device-b'), new FakeClock()];
  // Each run stands for another code.
  spent.clear();
  const ends = {
    'device-b': new End(room, clock, 'device-b', { role: 'b', secrets }),
    'device-a': new End(room, clock, 'device-a', { role: 'a', secrets: { [kind]: secrets[kind] } }),
  };
  let forwarded = 0;
  room.fault = () => {
    const number = forwarded++;
    return plan.find(({ at }) => at === number)?.fault;
  };
  room.reload = (deviceId) => {
    room.cut(deviceId);
    ends[deviceId as keyof typeof ends].reload();
  };
  const both = [ends['device-a'], ends['device-b']];
  for (let seconds = 0; seconds < 400; seconds++) {
    await idle();
    if (both.every(({ outcome }) => outcome !== 'waiting')) break;
    clock.advance(1000);
  }
  const outcomes = both.map(({ outcome }) => outcome);
  for (const { session } of both) session.close();
  await idle();
  return { outcomes, forwarded };
}

const FAULTS: Fault[] = [
  ...(['lost by the sender', 'lost by the receiver', 'twice'] as const),
  ...(['then the sender reconnects', 'then the receiver reconnects'] as const),
  ...(['then the sender reloads', 'then the receiver reloads', 'the receiver reloads'] as const),
];
const VERIFIED = ['connected, code', 'connected, saved'];

function expectClear(outcomes: string[], plan: Plan): void {
  const areConnected = outcomes.every((outcome) => VERIFIED.includes(outcome));
  const haveFailed = outcomes.every((outcome) => /^(unverified_peer|code_mismatch)$/.test(outcome));
  expect(areConnected || haveFailed, JSON.stringify({ outcomes, plan })).toBe(true);
  if (!plan.some(({ fault }) => /reloads/.test(fault))) {
    expect(areConnected, JSON.stringify({ outcomes, plan })).toBe(true);
  }
}

test('each fault at each message ends as promised, by code and by link', async () => {
  countCrypto();
  for (const kind of ['code', 'link'] as const) {
    const healthy = await run([], kind);
    expect(healthy.outcomes).toEqual(['connected, code', 'connected, code']);
    // A share and a tag of both, an offer, an answer, and their candidates.
    expect(healthy.forwarded).toBeGreaterThanOrEqual(8);
    for (const fault of FAULTS) {
      for (let at = 0; at < healthy.forwarded; at++) {
        const plan = [{ at, fault }];
        expectClear((await run(plan, kind)).outcomes, plan);
      }
    }
  }
});

test('several faults at random messages end as promised', async () => {
  countCrypto();
  const plans = fc.uniqueArray(fc.record({ at: fc.nat(20), fault: fc.constantFrom(...FAULTS) }), {
    minLength: 2,
    maxLength: 4,
    selector: ({ at }) => at,
  });
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => expectClear((await run(plan)).outcomes, plan)),
    { numRuns: 100 },
  );
});
