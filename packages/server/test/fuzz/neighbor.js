// Runs a healthy pair beside the fuzz, in a separate process, so that pauses of the fuzzer do not count as the server's.
//
// Two peers in one room answer each other's numbered messages. On request over IPC, it reports the number of exchanges,
// the longest time of one, and the first fault: a message lost, doubled, reordered or altered, or a close.
import { randomUUID } from 'node:crypto';
import WebSocket from 'ws';

/** Time between two exchanges, in milliseconds, well within the message rate of one connection. */
const PACE_MS = 20;

const wsUrl = process.argv[2];
const roomId = randomUUID();
const report = { exchanged: 0, worstMs: 0, fault: undefined };
let sentAt = 0;
let waitingFor;

const first = await member('webrtc_answer', (sdp) => {
  if (sdp !== waitingFor) fail(`waited for ${waitingFor}, got ${sdp}`);
  waitingFor = undefined;
  report.exchanged += 1;
  report.worstMs = Math.max(report.worstMs, performance.now() - sentAt);
  setTimeout(offer, PACE_MS);
});
const second = await member('webrtc_offer', (sdp) => send(second, 'webrtc_answer', sdp));
offer();
process.send('ready');
process.on('message', () => {
  // An exchange that never completed is included here, not in the longest time of the completed ones.
  const pendingMs = waitingFor === undefined ? 0 : performance.now() - sentAt;
  process.send({ ...report, worstMs: Math.max(report.worstMs, pendingMs) });
});
process.on('disconnect', () => process.exit(0));

function offer() {
  waitingFor = String(report.exchanged);
  sentAt = performance.now();
  send(first, 'webrtc_offer', waitingFor);
}

function send(socket, type, sdp) {
  socket.send(JSON.stringify({ type, sdp }));
}

/** Connects, joins, and passes on the messages of the peer. */
async function member(expected, take) {
  const socket = new WebSocket(wsUrl);
  const joined = new Promise((resolve) => {
    socket.on('message', (data) => {
      const { type, sdp } = JSON.parse(data.toString());
      if (type === expected) take(sdp);
      else if (type === 'room_joined') resolve();
      else if (type !== 'connected' && type !== 'room_ready') fail(`got ${data}`);
    });
  });
  socket.on('close', (code) => fail(`closed with ${code}`));
  socket.on('error', (error) => fail(error.message));
  socket.on('open', () => socket.send(JSON.stringify({ type: 'join_room', roomId })));
  await joined;
  return socket;
}

function fail(fault) {
  report.fault ??= fault;
}
