// Which way the packets go: read from the statistics of an RTCPeerConnection (W3C webrtc-stats).

/** Directly on one network, directly through NATs, or through a TURN relay. */
export type SessionPath = 'host' | 'srflx' | 'relay';

/** The path of the selected candidate pair; undefined where none is selected. */
export function pathOf(stats: RTCStatsReport): SessionPath | undefined {
  const entries = new Map<string, Entry>();
  stats.forEach((entry: Entry) => {
    entries.set(entry.id, entry);
  });
  const all = [...entries.values()];
  const selected = all.find(({ selectedCandidatePairId }) => selectedCandidatePairId);
  const pair =
    entries.get(selected?.selectedCandidatePairId ?? '') ??
    // Where the statistics know no transport, the pair in use is the one that was nominated.
    all.find(({ type, nominated, state }) => {
      return type === 'candidate-pair' && nominated && state === 'succeeded';
    });
  if (pair === undefined) return undefined;
  const types = [pair.localCandidateId, pair.remoteCandidateId].map(
    (id) => entries.get(id ?? '')?.candidateType,
  );
  if (types.includes('relay')) return 'relay';
  return types.every((type) => type === 'host') ? 'host' : 'srflx';
}

interface Entry {
  id: string;
  type: string;
  selectedCandidatePairId?: string;
  nominated?: boolean;
  state?: string;
  localCandidateId?: string;
  remoteCandidateId?: string;
  candidateType?: string;
}
