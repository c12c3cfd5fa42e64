// Names the WebSocket subprotocols with which a browser sends a token, because it cannot set headers (docs/protocol.md §7).

/** Selected by the server if the client offers it. */
export const SUBPROTOCOL = 'couplet';

/** Starts the offer that contains the percent-encoded bearer token. The server never selects it, so no answer repeats it. */
export const TOKEN_SUBPROTOCOL = 'couplet.token.';
