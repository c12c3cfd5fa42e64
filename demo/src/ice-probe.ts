// Tests a single ICE server by gathering candidates from it.

export interface IceServerUrl {
  url: string;
  username?: string | undefined;
  credential?: string | undefined;
}

export interface ProbeResult {
  url: string;
  /**
   * `works`: the server gave a candidate. `nothing-new`: there was no error, but no new address either.
   * `fails`: `errorCode` is the code of `icecandidateerror`, if any (RFC 8489 §14.8, or 701 for no answer).
   */
  outcome: 'works' | 'nothing-new' | 'fails';
  milliseconds: number;
  errorCode?: number;
}

/** Returns a separate entry for each URL. */
export const urlsOf = (servers: readonly RTCIceServer[]): IceServerUrl[] =>
  servers.flatMap(({ urls, username, credential }) =>
    [urls].flat().map((url) => ({ url, username, credential })),
  );

export const isTurn = (url: string): boolean => /^turns?:/i.test(url);

/** Browsers give up on a server that does not answer after about ten seconds. */
const PROBE_WITHIN_MS = 12_000;

export async function probe(server: IceServerUrl, signal: AbortSignal): Promise<ProbeResult> {
  const { url, username, credential } = server;
  const wanted = isTurn(url) ? 'relay' : 'srflx';
  const startedAt = performance.now();
  const ended = AbortSignal.any([signal, AbortSignal.timeout(PROBE_WITHIN_MS)]);
  let errorCode: number | undefined;
  const result = (outcome: ProbeResult['outcome']): ProbeResult => ({
    url,
    outcome,
    milliseconds: performance.now() - startedAt,
    ...(errorCode === undefined ? {} : { errorCode }),
  });
  let peer: RTCPeerConnection | undefined;
  try {
    const connection = new RTCPeerConnection({
      iceServers: [
        isTurn(url)
          ? { urls: url, username: username ?? '', credential: credential ?? '' }
          : { urls: url },
      ],
      // With `relay`, every candidate comes from this server.
      iceTransportPolicy: isTurn(url) ? 'relay' : 'all',
    });
    peer = connection;
    const found = new Promise<ProbeResult>((resolve) => {
      connection.onicecandidateerror = (event) => {
        // Keep the first specific code: a 701 (no answer) may follow it.
        errorCode = errorCode === undefined || errorCode === 701 ? event.errorCode : errorCode;
      };
      connection.onicecandidate = ({ candidate }) => {
        if (candidate?.type === wanted) resolve({ ...result('works') });
        else if (candidate === null)
          resolve(result(errorCode === undefined && !isTurn(url) ? 'nothing-new' : 'fails'));
      };
      ended.addEventListener('abort', () => resolve(result('fails')), { once: true });
    });
    connection.createDataChannel('probe');
    await connection.setLocalDescription();
    return await found;
  } catch {
    // The browser does not accept the URL.
    return result('fails');
  } finally {
    peer?.close();
  }
}
