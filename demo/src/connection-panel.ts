// Implements the connection tab: state, path, round-trip time and every ICE candidate.
import type {
  CandidateFound,
  PeerSession,
  SessionPath,
  SessionState,
  SignalingState,
} from '@couplet/client';
import { readable } from './candidate.js';
import { byId, make } from './dom.js';
import { duration } from './format.js';
import { isSelected } from './tabs.js';

/** Limits the rows, because a peer can send any number of candidates. */
const MAX_ROWS = 100;
const MEASURE_EVERY_MS = 1000;

export const STATE_WORDS: Readonly<Record<SessionState, string>> = {
  connecting: 'Waiting for the other device',
  connected: 'Connected',
  reconnecting: 'Connection lost; reconnecting',
  closed: 'Closed',
};

export const PATH_WORDS: Readonly<Record<SessionPath, string>> = {
  host: 'Direct, on the same network',
  srflx: 'Direct, across the internet',
  relay: 'Through a relay (TURN), which receives only encrypted packets',
};

const SIGNALING_WORDS: Readonly<Record<SignalingState, string>> = {
  joining: 'Connecting to the server',
  joined: 'Connected; the other device is not in the room',
  ready: 'Connected; both devices are in the room',
  down: 'Not connected; the devices stay connected without it',
};

export function startConnectionPanel(session: PeerSession, signal: AbortSignal): void {
  const rows = byId('candidates', 'tbody');
  const show = () => showFacts(session);
  session.on('state', show);
  session.on('signaling', show);
  session.on('path', show);
  session.on('path', () => void markPairInUse(session, rows));
  session.on('peer', () => rows.replaceChildren());
  session.on('candidate', (found) => addCandidate(rows, found));
  rows.replaceChildren();
  show();
  const measure = async () => {
    if (!isSelected('connection') || document.hidden) return;
    const milliseconds = await session.roundTripTimeMs();
    byId('fact-round-trip', 'dd').textContent =
      milliseconds === undefined ? 'Not measured yet' : duration(milliseconds);
    await markPairInUse(session, rows);
  };
  const timer = setInterval(() => void measure(), MEASURE_EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  byId('tab-connection', 'button').addEventListener('click', () => void measure(), { signal });
}

function showFacts({ state, path, signaling }: PeerSession): void {
  byId('fact-state', 'dd').textContent = STATE_WORDS[state];
  byId('fact-path', 'dd').textContent = path === undefined ? 'Not known yet' : PATH_WORDS[path];
  byId('fact-signaling', 'dd').textContent = SIGNALING_WORDS[signaling];
  if (state !== 'connected') byId('fact-round-trip', 'dd').textContent = 'Not measured yet';
}

const DEVICES = { local: 'this', remote: 'other' } as const;

/** Adds a row for a candidate unless there is one. Returns the row. */
function addCandidate(
  rows: HTMLElement,
  { side, candidate }: CandidateFound,
): HTMLTableRowElement | undefined {
  const shown = readable(candidate?.candidate ?? '');
  if (shown === undefined) return undefined;
  const { kind, protocol, address } = shown;
  const key = `${side} ${protocol} ${address}`;
  const known = [...rows.querySelectorAll('tr')].find(({ dataset }) => dataset.key === key);
  if (known !== undefined || rows.childElementCount >= MAX_ROWS) return known;
  const port = address.lastIndexOf(':');
  // If an address needs two lines, the port is on the second.
  const parts = [address.slice(0, port), make('wbr'), address.slice(port)];
  const cells = [[DEVICES[side]], [kind], [protocol], parts, ['']].map((content) =>
    make('td', '', ...content),
  );
  const row = make('tr', '', ...cells);
  row.dataset.key = key;
  rows.append(row);
  return row;
}

/** Marks the selected pair. Its candidates may be peer-reflexive ones that are not listed yet. */
async function markPairInUse({ peer }: PeerSession, rows: HTMLElement): Promise<void> {
  const pair =
    peer?.sctp?.transport.iceTransport.getSelectedCandidatePair?.() ??
    (await peer?.getStats().then(pairOf, () => undefined));
  const used = (['local', 'remote'] as const).map((side) =>
    addCandidate(rows, { side, candidate: pair?.[side] ?? null }),
  );
  for (const row of rows.querySelectorAll('tr')) {
    const isUsed = used.includes(row);
    row.classList.toggle('used', isUsed);
    const last = row.cells.item(4);
    if (last) last.textContent = isUsed ? 'yes' : '';
  }
}

/** The selected pair in the statistics, for Firefox, which has no `getSelectedCandidatePair`. */
function pairOf(stats: RTCStatsReport): Partial<Record<'local' | 'remote', RTCIceCandidateInit>> {
  const pair = [...stats.values()].find(
    ({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded',
  );
  const candidate = (id: string): RTCIceCandidateInit => {
    const { protocol, address, port, candidateType } = stats.get(id) ?? {};
    return { candidate: `candidate:0 1 ${protocol} 0 ${address} ${port} typ ${candidateType}` };
  };
  return pair
    ? { local: candidate(pair.localCandidateId), remote: candidate(pair.remoteCandidateId) }
    : {};
}
