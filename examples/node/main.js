// Chats from a terminal: `node main.js` creates a code, `node main.js CODE` accepts one.
import { createInterface } from 'node:readline';
import { Couplet } from '@couplet/client';
import { RTCPeerConnection } from 'werift';
import WebSocket from 'ws';

const url = process.env.COUPLET_URL ?? 'http://localhost:8080';
// Node 20 has neither of these APIs.
const couplet = new Couplet({ url, RTCPeerConnection, WebSocket });
const say = (line) => process.stdout.write(`${line}\n`);

const [code] = process.argv.slice(2);
const session = code === undefined ? await invited() : await couplet.accept(code);

say('connected, peer to peer');
session.on('message', (text) => say(`peer: ${text}`));
session.on('peer-left', () => {
  say('the peer has left');
  end();
});

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => session.send(line));
lines.on('close', () => session.close());
process.once('SIGINT', end);

/** Closes the input, which closes the session, so that the process can exit. */
function end() {
  lines.close();
}

async function invited() {
  const invite = await couplet.invite();
  say(`code: ${invite.code}`);
  return invite.accepted;
}
