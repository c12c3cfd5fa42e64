// Names a public STUN server, for applications that choose to use one.

/**
 * A public STUN server. The client never uses it by itself, because its operator (Cloudflare) learns the address of each
 * device that asks it. Without any STUN or TURN server, only devices in one network can connect. If the Couplet server has
 * none, an application can choose this one: `rtcConfiguration: { iceServers: [PUBLIC_STUN] }`.
 */
export const PUBLIC_STUN: RTCIceServer = { urls: 'stun:stun.cloudflare.com:3478' };
