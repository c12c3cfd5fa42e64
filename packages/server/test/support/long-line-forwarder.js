// Emulates a long line: forwards VXLAN packets (RFC 7348) late, or drops them. Arguments: delay in ms, loss in percent.
import { createSocket } from 'node:dgram';

const ENDS = '169.254.1.1';
const VXLAN_PORT = 4789;
/** The network identifier: bytes 4–6 of the header. Ends 2n and 2n+1 form a line. */
const LAST_BYTE_OF_IDENTIFIER = 6;

const [delayMs, lossPercent] = process.argv.slice(2).map(Number);
const socket = createSocket('udp4');
socket.on('message', (packet) => {
  if (100 * Math.random() < lossPercent) return;
  packet[LAST_BYTE_OF_IDENTIFIER] ^= 1;
  // Timers of one duration fire in the order in which they were set, so packets stay in order.
  setTimeout(() => socket.send(packet, VXLAN_PORT, ENDS), delayMs);
});
socket.bind(VXLAN_PORT, () => process.stdout.write('ready\n'));
