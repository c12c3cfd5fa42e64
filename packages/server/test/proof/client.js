// A complete client in plain browser code: pairs by a code, joins the room, opens data channels.

const CHUNK_BYTES = 16_384;

/** Creates a code for this device: six digits to show to the other user. */
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
    // Another device has this code, so another one is tried.
    if (created.status !== 409) throw new Error(`create: ${created.body.error}`);
  }
}

/** Waits until the code is accepted. The server holds each check for up to 30 seconds. */
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

/** Accepts the code of another device. */
export async function enterCode(server, joinid, deviceId) {
  const accepted = await post(server, '/api/rooms/accept', { joinid, client2: deviceId });
  if (accepted.status !== 200) throw new Error(`accept: ${accepted.body.error}`);
  return accepted.body.roomid;
}

/**
 * Joins the room. When both devices are present, creates a peer connection with the ICE servers from the server. Calls
 * `onText` and `onBlob` with data from the peer, and `onState` with each new state of the connection.
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
    // Both sides negotiate the same channel id in advance, so neither waits for the other.
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
        // Happens first, and again when the peer returns on another connection.
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
        // null marks the end of the candidates.
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

/** Sends a blob in its own channel, whose `protocol` has the number of bytes. */
async function sendBlob(peerConnection, blob) {
  const channel = peerConnection.createDataChannel('blob', { protocol: String(blob.size) });
  channel.bufferedAmountLowThreshold = CHUNK_BYTES;
  await happens(channel, 'open');
  for (let start = 0; start < blob.size; start += CHUNK_BYTES) {
    // A channel queues without a bound, so this waits for the network.
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
