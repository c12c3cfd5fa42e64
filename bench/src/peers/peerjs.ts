// PeerJS's own signaling server, unmodified, with limits that allow the connections of a measurement.
import { PeerServer } from 'peer';
import { endWithConductor } from './http-peer.js';

endWithConductor();
PeerServer({
  port: Number(process.env.PORT),
  host: '127.0.0.1',
  path: '/',
  concurrent_limit: 1_000_000,
  // Its clients send heartbeats; connections of a measurement are too short-lived to need any.
  alive_timeout: 3_600_000,
});
