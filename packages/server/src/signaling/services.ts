// Declares the services that the files of this folder share, and the decisions of the embedding application.
import type { IncomingMessage } from 'node:http';
import type { HttpServices } from '../http/services.js';
import type { Stalls } from '../limits/event-loop-stalls.js';
import type { SignalingCounters } from './counters.js';
import type { Corking } from './websocket/corking.js';

/** A request for a seat, as passed to the embedding application. */
export interface JoinRequest {
  /** The HTTP request that opened the connection: its headers, its query. */
  request: IncomingMessage;
  roomId: string;
  deviceId: string | null;
}

/** Decisions of the embedding application; a missing hook allows everything. */
export interface SignalingGate {
  /** Whether a WebSocket may be opened; otherwise the handshake is answered 401. */
  connect?: (request: IncomingMessage) => boolean | Promise<boolean>;
  /** Whether a connection may take a seat; otherwise it gets `forbidden`. */
  join?: (join: JoinRequest) => boolean | Promise<boolean>;
}

export interface SignalingServices extends HttpServices {
  stalls: Pick<Stalls, 'total'>;
  gate: SignalingGate;
  counters: SignalingCounters;
  corking: Corking;
}
