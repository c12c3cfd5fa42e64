// Gives each device a friendly name. Two devices exchange their names over a channel of their own.
import type { PeerSession } from '@couplet/client';
import { byId } from './dom.js';

const COLORS =
  'Amber Azure Beige Black Blue Bronze Brown Copper Coral Cream Crimson Golden Gray Green Indigo Ivory Jade Lemon Lilac Lime Maroon Mint Olive Orange Peach Pink Purple Red Ruby Silver Teal White'.split(
    ' ',
  );
const ANIMALS =
  'Badger Bear Beaver Bison Camel Cheetah Crane Dolphin Eagle Falcon Fox Gecko Heron Horse Jaguar Koala Lemur Lion Lynx Moose Otter Owl Panda Penguin Puffin Rabbit Raven Seal Swan Tiger Turtle Wolf'.split(
    ' ',
  );

/** The name of a device until its own name arrives. Applications other than this page send none. */
export const UNNAMED = 'The other device';

/** The name of the other device, as in the title of the session. */
export const peerName = () => byId('session-title', 'h1').textContent;

/** Id of the channel. The session has 0; its modules have ids above 100. */
const CHANNEL_ID = 100;

/** Returns the name of a device. The same id always has the same name, so it stays across reloads. */
export function nameOf(deviceId: string): string {
  let hash = 0;
  for (const char of deviceId) hash = (hash * 31 + (char.codePointAt(0) as number)) >>> 0;
  const animal = ANIMALS[Math.floor(hash / COLORS.length) % ANIMALS.length];
  return `${COLORS[hash % COLORS.length]} ${animal}`;
}

/** Tells the peer the name of this device, and calls back with the name of the peer. */
export function exchangeNames(session: PeerSession, onName: (name: string) => void): void {
  const follow = (peer: RTCPeerConnection) => {
    const channel = peer.createDataChannel('name', { negotiated: true, id: CHANNEL_ID });
    channel.onopen = () => channel.send(nameOf(session.save().deviceId));
    channel.onmessage = ({ data }) => {
      if (isName(data)) onName(data);
    };
  };
  session.on('peer', follow);
  if (session.peer) follow(session.peer);
}

/** Whether it is a name of this page. Any other text could imitate a message of the page, or reverse its direction. */
function isName(text: unknown): text is string {
  const [color = '', animal = '', ...more] = typeof text === 'string' ? text.split(' ') : [];
  return COLORS.includes(color) && ANIMALS.includes(animal) && more.length === 0;
}
