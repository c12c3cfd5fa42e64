// Pairs of WebSockets in their rooms with their frames, shared by both forwarding loads.
import { openCrowd } from './crowd.js';
import { DIALECTS } from './dialects.js';
import type { ClosedForwardJob, OpenForwardJob } from './job.js';
import type { LoadWebSocket } from './web-socket.js';

const OPENING_AT_ONCE = 256;

/** One connection, its peer, and its frames: `copies` of one frame in a row. */
export interface Member {
  socket: LoadWebSocket;
  peer: Member;
  frames: Buffer;
  frameBytes: number;
}

/** Opens the pairs of a job. Each member is followed by its peer. */
export async function openPairs(
  job: ClosedForwardJob | OpenForwardJob,
  copies: number,
): Promise<Member[]> {
  const sockets: LoadWebSocket[] = [];
  const crowd = { ...job, connections: job.pairs * 2, join: true, atOnce: OPENING_AT_ONCE };
  await openCrowd(crowd, sockets);
  const { frame, sharesFrames } = DIALECTS[job.dialect];
  const encode = ({ pair, seat }: LoadWebSocket) => {
    const one = frame(job.frame, pair, seat);
    return { frames: Buffer.concat(Array<Buffer>(copies).fill(one)), frameBytes: one.length };
  };
  const shared = sharesFrames ? encode(sockets[0] as LoadWebSocket) : undefined;
  const members = sockets.map((socket) => ({ socket, ...(shared ?? encode(socket)) }) as Member);
  for (const [n, member] of members.entries()) member.peer = members[n ^ 1] as Member;
  await learnLengths(members, job);
  return members;
}

/** Sends one message in each direction of every pair. It must arrive unchanged, and gives the length of all others. */
async function learnLengths(members: readonly Member[], job: { frame: string }): Promise<void> {
  await Promise.all(
    members.map(
      ({ socket, peer, frames, frameBytes }) =>
        new Promise<void>((resolve, reject) => {
          const { counter } = socket;
          counter.onText = (text) => {
            counter.onText = undefined;
            counter.expectedLength = Buffer.byteLength(text);
            const whole = text.includes(' raddr 10.0.0.17') && text.length >= 200;
            if (whole) resolve();
            else reject(new Error(`instead of a ${job.frame} came ${text.slice(0, 200)}`));
          };
          socket.onClose = (reason) => reject(new Error(`a connection was lost: ${reason}`));
          peer.socket.send(frames.subarray(0, frameBytes));
        }),
    ),
  );
}

/** Wrong messages since the beginning, including closed connections. */
export const faultsOf = (members: readonly Member[]): number =>
  members.reduce(
    (sum, { socket: { counter } }) => sum + counter.unexpected + (counter.closed ? 1 : 0),
    0,
  );
