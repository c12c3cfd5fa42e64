// Writes what a person sees on a terminal when the server has started: addresses, a QR code for a phone, STUN and TURN.
import { encode } from 'uqr';
import type { Config } from '../settings/config.js';

/** The settings that the text depends on. */
type Shown = Pick<
  Config,
  'host' | 'demo' | 'useSqlite' | 'redisUrl' | 'stunUrls' | 'turnUrls' | 'iceServersUrl'
>;

/**
 * Returns the text for the terminal.
 *
 * @param port - the port of the open socket for HTTP
 * @param lanOrigin - the origin for other devices of the network; undefined if they cannot reach the server
 */
export function welcome(config: Shown, port: number, lanOrigin: string | undefined): string {
  const hasDemo = config.demo && (config.useSqlite || config.redisUrl !== '');
  const path = hasDemo ? '/demo/' : '/';
  const host = ['0.0.0.0', '::'].includes(config.host) ? 'localhost' : config.host;
  const local = new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}${path}`);
  const lines = [`  This machine:  ${local}`];
  if (lanOrigin === undefined) {
    lines.push(
      host === 'localhost'
        ? '  No other device can reach it: this machine has no network address.'
        : `  No other device can reach it, because HOST is ${host}.`,
    );
  } else {
    lines.push(`  Your network:  ${lanOrigin}${path}`, '', qrCode(lanOrigin + path), '');
    lines.push('  Scan the code with a phone on the same network.');
    if (hasDemo && lanOrigin.startsWith('http:')) {
      lines.push(
        '  Camera and microphone need HTTPS there: start with --https, or see docs/deploy.md.',
      );
    }
  }
  lines.push('', `  ${traversal(config)}`, '', '  Ctrl+C stops the server.', '');
  return `\n${lines.join('\n')}\n`;
}

/** What STUN and TURN mean for the devices. */
function traversal({ stunUrls, turnUrls, iceServersUrl }: Shown): string {
  if (turnUrls.length > 0 || iceServersUrl !== '') {
    return 'TURN is configured: devices on different networks can connect.';
  }
  return stunUrls.length > 0
    ? 'STUN is configured, TURN is not: devices behind strict NATs or firewalls cannot connect. See docs/turn.md.'
    : 'STUN and TURN are not configured: only devices on the same network can connect. See docs/turn.md.';
}

/** Draws a QR code with two modules per character, black on white regardless of the terminal's colors. */
function qrCode(text: string): string {
  const { data, size } = encode(text, { ecc: 'L', border: 2 });
  const lines: string[] = [];
  for (let y = 0; y < size; y += 2) {
    const blocks = Array.from({ length: size }, (_, x) => {
      const [upper, lower] = [data[y]?.[x], data[y + 1]?.[x]];
      return upper ? (lower ? '█' : '▀') : lower ? '▄' : ' ';
    });
    lines.push(`  \u001b[30;107m${blocks.join('')}\u001b[0m`);
  }
  return lines.join('\n');
}
