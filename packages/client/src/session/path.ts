// Reads the path and the round-trip time from the statistics of an RTCPeerConnection (W3C webrtc-stats).

/** Direct on one network (`host`), direct through NATs (`srflx`), or through a TURN relay (`relay`). */
export type SessionPath = 'host' | 'srflx' | 'relay';

/** The path of the selected candidate pair; undefined if none is selected. */
export function pathOf(stats: RTCStatsReport): SessionPath | undefined {
  const pair = selectedPair(stats);
  if (!pair) return undefined;
  const types = [pair.localCandidateId, pair.remoteCandidateId].map(
    (id) => stats.get(id ?? '')?.candidateType,
  );
  if (types.includes('relay')) return 'relay';
  return types.every((type) => type === 'host') ? 'host' : 'srflx';
}

/** The latest round-trip time of the selected candidate pair, in milliseconds; undefined if none was measured. */
export function roundTripTimeMsOf(stats: RTCStatsReport): number | undefined {
  const seconds = selectedPair(stats)?.currentRoundTripTime;
  return seconds && seconds * 1000;
}

function selectedPair(stats: RTCStatsReport): Entry | undefined {
  const all: Entry[] = [...stats.values()];
  const selected = all.find(({ selectedCandidatePairId }) => selectedCandidatePairId);
  return (
    stats.get(selected?.selectedCandidatePairId ?? '') ??
    // If the statistics contain no transport, the nominated pair is the one in use.
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
