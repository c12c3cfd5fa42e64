// Which way the packets go, and how long they take: read from the statistics of an RTCPeerConnection (W3C webrtc-stats).

/** Directly on one network, directly through NATs, or through a TURN relay. */
export type SessionPath = 'host' | 'srflx' | 'relay';

/** The path of the selected candidate pair; undefined where none is selected. */
export function pathOf(stats: RTCStatsReport): SessionPath | undefined {
  const pair = selectedPair(stats);
  if (pair === undefined) return undefined;
  const types = [pair.localCandidateId, pair.remoteCandidateId].map(
    (id) => stats.get(id ?? '')?.candidateType,
  );
  if (types.includes('relay')) return 'relay';
  return types.every((type) => type === 'host') ? 'host' : 'srflx';
}

/** The latest measured round trip on the selected candidate pair, in milliseconds; undefined where none was measured. */
export function roundTripTimeMsOf(stats: RTCStatsReport): number | undefined {
  const seconds = selectedPair(stats)?.currentRoundTripTime;
  return seconds && seconds * 1000;
}

function selectedPair(stats: RTCStatsReport): Entry | undefined {
  const all: Entry[] = [...stats.values()];
  const selected = all.find(({ selectedCandidatePairId }) => selectedCandidatePairId);
  return (
    stats.get(selected?.selectedCandidatePairId ?? '') ??
    // Where the statistics know no transport, the pair in use is the one that was nominated.
    all.find(({ type, nominated, state }) => {
      return type === 'candidate-pair' && nominated && state === 'succeeded';
    })
  );
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
  currentRoundTripTime?: number;
}
