// A whole client, as a page would have it: pairs by a code, meets its peer in the room, opens data channels. Plain browser code.

const CHUNK_BYTES = 16_384;

/** Makes a code for this device: six digits to show to whoever is to come. */
export async function makeCode(server, deviceId) {
  for (;;) {
    const joinid = String(crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000).padStart(
      6,
      '0',
    );
    const created = await post(server, '/api/rooms', {
      joinid,
      expiresInSeconds: 300,
      client1: deviceId,
    });
    if (created.status === 201) return joinid;
    // Another device has this code at the moment: take another one.
    if (created.status !== 409) throw new Error(`create: ${created.body.error}`);
  }
}

/** Waits until somebody has entered the code. The server holds each question for up to 30 seconds. */
export async function waitForGuest(server, joinid, deviceId) {
  for (;;) {
    const checked = await post(
      server,
      '/api/rooms/check',
      { joinid, client1: deviceId },
      { Prefer: 'wait=30' },
    );
    if (checked.status === 200) return checked.body.roomid;
    if (checked.status !== 204) throw new Error(`check: ${checked.body.error}`);
  }
}

/** Enters the code that another device shows. */
export async function enterCode(server, joinid, deviceId) {
  const accepted = await post(server, '/api/rooms/accept', { joinid, client2: deviceId });
  if (accepted.status !== 200) throw new Error(`accept: ${accepted.body.error}`);
  return accepted.body.roomid;
}

/**
 * Takes a seat in the room. Whenever both devices are there, a peer connection comes about, by the ICE servers that the
 * server hands out; `onText` and `onBlob` are called with what the peer sends, `onState` with each new state of it.
 */
export function enterRoom(server, roomId, deviceId, { onText, onBlob, onOpen, onState }) {
  const socket = new WebSocket(server.replace(/^http/, 'ws'));
  const send = (message) => socket.send(JSON.stringify(message));
  let peerConnection;
  let chat;

  const start = (iceServers) => {
    peerConnection?.close();
    peerConnection = new RTCPeerConnection({ iceServers });
    peerConnection.onconnectionstatechange = () => onState?.(peerConnection.connectionState);
    peerConnection.onicecandidate = ({ candidate }) => send({ type: 'ice_candidate', candidate });
    // Both sides name the same channel, so neither has to wait for the other's announcement of it.
    chat = peerConnection.createDataChannel('chat', { negotiated: true, id: 0 });
    chat.onopen = onOpen;
    chat.onmessage = ({ data }) => onText(data);
    peerConnection.ondatachannel = ({ channel }) => receiveBlob(channel).then(onBlob);
  };

  socket.onopen = () => send({ type: 'join_room', roomId, deviceId });
  socket.onmessage = async ({ data }) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case 'room_ready':
        // The first time, and again when the peer has come back on another connection.
        start(message.iceServers);
        if (!message.isInitiator) break;
        await peerConnection.setLocalDescription();
        send({ type: 'webrtc_offer', sdp: peerConnection.localDescription.sdp });
        break;
      case 'webrtc_offer':
        await peerConnection.setRemoteDescription({ type: 'offer', sdp: message.sdp });
        await peerConnection.setLocalDescription();
        send({ type: 'webrtc_answer', sdp: peerConnection.localDescription.sdp });
        break;
      case 'webrtc_answer':
        await peerConnection.setRemoteDescription({ type: 'answer', sdp: message.sdp });
        break;
      case 'ice_candidate':
        // null is the end of the candidates.
        await peerConnection.addIceCandidate(message.candidate ?? undefined);
        break;
    }
  };

  return {
    peerConnection: () => peerConnection,
    sendText: (text) => chat.send(text),
    sendBlob: (blob) => sendBlob(peerConnection, blob),
    close() {
      peerConnection?.close();
      socket.close();
    },
  };
}

/** Sends a blob in a channel of its own, whose `protocol` says how many bytes there will be. */
async function sendBlob(peerConnection, blob) {
  const channel = peerConnection.createDataChannel('blob', { protocol: String(blob.size) });
  channel.bufferedAmountLowThreshold = CHUNK_BYTES;
  await happens(channel, 'open');
  for (let start = 0; start < blob.size; start += CHUNK_BYTES) {
    // A channel queues without bound: do not run ahead of the network.
    if (channel.bufferedAmount > 16 * CHUNK_BYTES) await happens(channel, 'bufferedamountlow');
    channel.send(await blob.slice(start, start + CHUNK_BYTES).arrayBuffer());
  }
}

function receiveBlob(channel) {
  const expectedBytes = Number(channel.protocol);
  const chunks = [];
  let receivedBytes = 0;
  channel.binaryType = 'arraybuffer';
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      chunks.push(data);
      receivedBytes += data.byteLength;
      if (receivedBytes < expectedBytes) return;
      channel.close();
      resolve(new Blob(chunks));
    };
  });
}

const happens = (target, name) =>
  new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

async function post(server, path, body, headers = {}) {
  const response = await fetch(server + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}
