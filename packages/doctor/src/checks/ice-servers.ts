// Fetches the ICE servers that the server provides to a paired device.
import type { RTCIceServer } from '@couplet/protocol';
import { type Check, failed, notApplicable, passed } from '../check.js';
import { call, refusal } from '../http-call.js';
import type { Meeting } from './forwarding.js';

export interface HandedOut {
  url: string;
  server: RTCIceServer;
}

export const iceServersCheck: Check<Meeting, HandedOut[]> = {
  id: 'ice-servers',
  title: 'ICE servers',
  async run(meeting, signal) {
    const body = { roomid: meeting.roomId, client: meeting.devices[0], secret: meeting.secrets[0] };
    const answer = await call(meeting, signal, 'POST', '/api/ice-servers', { body });
    if (answer.status !== 200) return refusal('POST /api/ice-servers', answer);
    const list = serversIn(answer.json?.iceServers);
    if (list === undefined)
      return failed(
        'POST /api/ice-servers answered something other than ICE servers',
        'A proxy changes answers. It must forward /api unchanged.',
      );
    if (list.length === 0)
      return notApplicable(
        'the server provides none: across networks most devices need STUN, and some TURN (docs/turn.md)',
      );
    const turn = list.filter(({ url }) => /^turns?:/i.test(url)).length;
    return passed(
      `${count(list.length, 'URL')} provided, ${turn > 0 ? `${turn} of them TURN` : 'none of them TURN'}`,
      list,
    );
  },
};

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** Returns every URL with its server; undefined if the value is not a list of RTCIceServer. */
function serversIn(value: unknown): HandedOut[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const all: HandedOut[] = [];
  for (const server of value as (Partial<RTCIceServer> | null)[]) {
    const urls = [server?.urls ?? []].flat();
    const strings = [...urls, server?.username ?? '', server?.credential ?? ''];
    if (urls.length === 0 || !strings.every((text) => typeof text === 'string')) return undefined;
    all.push(...urls.map((url) => ({ url, server: server as RTCIceServer })));
  }
  return all;
}
