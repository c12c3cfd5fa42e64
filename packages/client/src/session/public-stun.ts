// Names a public STUN server, for applications that choose to use one.

/**
 * A public STUN server. Without any STUN or TURN server, only devices in one network can connect. If the Couplet server
 * has none, an application can use this one: `rtcConfiguration: { iceServers: [PUBLIC_STUN] }`. The client never uses it by
 * default, because its operator (Cloudflare) learns the address of each device.
 */
export const PUBLIC_STUN: RTCIceServer = { urls: 'stun:stun.cloudflare.com:3478' };
