// The application around client.js in a test page: enters one room, and keeps what happens there.
import { enterCode, enterRoom, makeCode, waitForGuest } from './client.js';

const deferred = () => {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
};
const [text, opened, failed] = [deferred(), deferred(), deferred()];
let room;

window.plain = {
  makeCode,
  waitForGuest,
  enterCode,
  enterRoom(server, roomId, deviceId) {
    const onState = (state) => state === 'failed' && failed.resolve();
    const on = { onText: text.resolve, onOpen: opened.resolve, onState };
    room = enterRoom(server, roomId, deviceId, on);
  },
  sendText: (message) => room.sendText(message),
  /** The first text that the peer sends. */
  text: () => text.promise,
  /** Resolves once the data channel is open; rejects if the peer connection fails. */
  opened: () =>
    Promise.race([
      opened.promise,
      failed.promise.then(() => Promise.reject(new Error('the peer connection failed'))),
    ]),
  failed: () => failed.promise,
  /** The state of the peer connection as an app sees it, and the servers that it was given. */
  peerConnection() {
    const connection = room.peerConnection();
    const { connectionState, iceConnectionState } = connection;
    const { iceServers = [] } = connection.getConfiguration();
    return { connectionState, iceConnectionState, servers: iceServers.flatMap(({ urls }) => urls) };
  },
  /** Both ends of the currently selected candidate pair, or null. */
  async selectedPair() {
    const stats = await room.peerConnection().getStats();
    const transport = [...stats.values()].find(({ type }) => type === 'transport');
    const pair = stats.get(transport?.selectedCandidatePairId ?? '');
    if (pair === undefined) return null;
    const end = (id) => {
      const { candidateType, address = null, relayProtocol = null } = stats.get(id);
      return { candidateType, address, relayProtocol };
    };
    return { local: end(pair.localCandidateId), remote: end(pair.remoteCandidateId) };
  },
};
