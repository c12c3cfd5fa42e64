// The built command `couplet` as a child process: its results and its errors.
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { get as secureGet } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { call, pairDevices, someDevice } from '@couplet/testkit/api';
import { runCommand, startCommand } from '@couplet/testkit/command';
import { freePort } from '@couplet/testkit/coturn';
import { Peer } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { execute, rows } from './support/sqlite-files.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const root = temporaryFolder();
const emptyFolder = () => mkdtempSync(join(root, 'cwd-'));

/** The result of every refusal: one line on stderr and exit code 1. */
const refusal = (line: string | RegExp) => ({
  code: 1,
  stdout: expect.not.stringContaining('listening'),
  stderr: expect.stringMatching(
    line instanceof RegExp
      ? new RegExp(`^couplet: [^\\n]*${line.source}[^\\n]*\\n$`)
      : `^couplet: ${line}\\n$`,
  ),
});

test('--help and -h show the commands, --version and -v the version', async () => {
  const cwd = emptyFolder();
  for (const flag of ['--help', '-h']) {
    const { code, stdout, stderr } = await runCommand([flag], { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const word of ['serve', 'db:init', 'doctor', '--sqlite', '--help', '--version']) {
      expect(stdout).toContain(word);
    }
  }
  for (const flag of ['--version', '-v']) {
    const ended = await runCommand([flag], { cwd });
    expect(ended).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  }
  expect(readdirSync(cwd)).toEqual([]);
});

test.each([
  [['db:init', 'twice'], {}, /unexpected argument: twice/],
  [['--dance'], {}, /Unknown option '--dance'; see couplet --help/],
  [['--port', '--host'], {}, /'--port' argument is ambiguous; see couplet --help/],
  [['serve', '--port', 'x'], {}, /PORT: expected a whole number/],
  // A wrong command is reported before faulty settings.
  [['dance'], { PORT: 'x' }, /unknown command: dance/],
  [['serve'], { HOST: '192.0.2.1' }, 'HOST: 192.0.2.1 is not an address of this machine'],
])('%j with %j is refused with one line', async (args, env, line) => {
  const cwd = emptyFolder();
  expect(await runCommand(args, { cwd, env })).toEqual(refusal(line));
  expect(readdirSync(cwd)).toEqual([]);
});

describe('serve', () => {
  test('without a command, it serves; SIGTERM and SIGINT end it with exit code 0, and the rooms remain', async () => {
    const cwd = emptyFolder();
    const env = { USE_SQLITE: '1' };
    const first = startCommand([], { cwd, env });
    const { roomid } = await pairDevices(await first.listening);
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 0, stderr: '' });

    const second = startCommand(['serve'], { cwd, env });
    const found = await call(await second.listening, 'GET', `/api/rooms?roomid=${roomid}`);
    expect(found.status).toBe(200);
    second.child.kill('SIGINT');
    const { code, stdout } = await second.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('"msg":"stopped"');
    expect(existsSync(join(cwd, 'data/chat.db'))).toBe(true);
  });

  test('with --https, pages and signaling work over HTTPS and HTTP, and SIGTERM ends it', async () => {
    const cwd = emptyFolder();
    const command = startCommand(['serve', '--sqlite', '--https'], { cwd });
    const plain = await command.listening;
    const address = () => /listening on (https:\/\/[^\s"]+)/.exec(command.output())?.[1];
    await expect.poll(address).toBeDefined();
    const secure = String(address());
    const ca = readFileSync(join(cwd, 'data/development-certificate.pem'));
    const statusOf = async (request: ReturnType<typeof get>) => {
      const [response]: IncomingMessage[] = (await once(request, 'response')) as [IncomingMessage];
      response?.resume();
      return response?.statusCode;
    };
    expect(await statusOf(secureGet(`${secure}/healthz`, { ca, agent: false }))).toBe(200);
    expect(await statusOf(get(`${plain}/healthz`, { agent: false }))).toBe(200);

    const roomId = someDevice();
    const one = await Peer.connect(secure.replace('https', 'wss'), { ca });
    const other = await Peer.connect(plain.replace('http', 'ws'));
    await one.join(roomId);
    await other.join(roomId);
    await one.next('room_ready');
    await other.next('room_ready');
    one.send({ type: 'webrtc_offer', sdp: 'v=0' });
    expect(await other.next('webrtc_offer')).toMatchObject({ sdp: 'v=0' });
    other.send({ type: 'webrtc_answer', sdp: 'v=0' });
    expect(await one.next('webrtc_answer')).toMatchObject({ sdp: 'v=0' });

    command.child.kill('SIGTERM');
    expect((await one.closed).code).toBe(1012);
    expect((await command.ended).code).toBe(0);
  });

  test('USE_SQLITE=0 overrides --sqlite: it logs a warning, answers rooms_api_disabled and creates no file', async () => {
    const cwd = emptyFolder();
    const server = startCommand(['serve', '--sqlite'], { cwd, env: { USE_SQLITE: '0' } });
    const answer = await call(await server.listening, 'POST', '/api/rooms', {});
    expect(answer).toMatchObject({ status: 404, body: { error: 'rooms_api_disabled' } });
    expect(server.output()).toMatch(/^{"level":40,.*rooms API disabled/m);
    expect(readdirSync(cwd)).toEqual([]);
  });

  test('a port in use is refused', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const env = { PORT: String(port), USE_SQLITE: '1' };
    const ended = await runCommand(['serve'], { cwd: emptyFolder(), env });
    expect(ended).toEqual(refusal(`PORT: ${port} is already in use`));
  });

  const BINDING_FAULTS = {
    MODULE_NOT_FOUND: ['Cannot find module', 'there is no binary for .*REDIS_URL'],
    ERR_DLOPEN_FAILED: [
      "version `GLIBC_9.9' not found\n(required by x)",
      "its binary for .* cannot be loaded \\(version `GLIBC_9.9' not found\\)",
    ],
  };
  test.each([
    ['is missing', 'MODULE_NOT_FOUND', ['serve', '--sqlite']],
    ['needs a newer C library', 'ERR_DLOPEN_FAILED', ['db:init']],
  ] as const)('an SQLite binding that %s is refused with one line', async (_, code, args) => {
    const cwd = emptyFolder();
    const [message, line] = BINDING_FAULTS[code];
    const error = `Object.assign(new Error(${JSON.stringify(message)}), { code: '${code}' })`;
    writeFileSync(join(cwd, 'fault.mjs'), `process.dlopen = () => { throw ${error}; };`);
    const env = { NODE_OPTIONS: `--import ${join(cwd, 'fault.mjs')}` };
    const ended = await runCommand(args, { cwd, env });
    expect(ended).toEqual(refusal(new RegExp(`@photostructure/sqlite: ${line}`)));
    expect(readdirSync(cwd)).toEqual(['fault.mjs']);
    // Without the rooms API there is nothing to store.
    await startCommand(['serve'], { cwd, env }).listening;
  });
});

describe('doctor', () => {
  test('checks a running server: exit code 0 if all checks pass, 1 if a check fails', async () => {
    const cwd = emptyFolder();
    const server = startCommand(['serve', '--sqlite'], { cwd });
    const url = await server.listening;
    // The doctor reads no settings, so a faulty one does not matter.
    const ended = await runCommand(['doctor', url], { cwd, env: { PORT: 'x' } });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(new RegExp(`^Couplet at ${url}\n[^]*No faults`));
    const asJson = await runCommand(['doctor', '--json', url], { cwd });
    expect(JSON.parse(asJson.stdout)).toMatchObject({ url, ok: true, failed: 0 });
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const down = await runCommand(['doctor', nobody], { cwd });
    expect(down).toMatchObject({ code: 1, stderr: '' });
    expect(down.stdout).toContain('✗ HTTP');
    expect(down.stdout).not.toContain('\u001b');
  });

  test('--help shows its options and the default address', async () => {
    const { code, stdout } = await runCommand(['doctor', '--help'], { cwd: emptyFolder() });
    expect(code).toBe(0);
    for (const word of ['--json', '--origin', 'http://localhost:8080', 'Exit code']) {
      expect(stdout).toContain(word);
    }
  });

  test.each([
    [['https://me:secret@chat.example.org'], /must not contain a user or password/],
    [['--insecure'], /Unknown option '--insecure'/],
  ])('%j is wrong usage: one line and exit code 2', async (args, line) => {
    const { code, stdout, stderr } = await runCommand(['doctor', ...args], { cwd: emptyFolder() });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^couplet doctor: [^\\n]*${line.source}[^\\n]*\\n$`));
    expect(stderr).not.toContain('me:secret');
  });

  test('Ctrl-C ends it with exit code 1, and its devices are purged', async () => {
    const cwd = emptyFolder();
    const server = startCommand(['serve', '--sqlite'], { cwd });
    const url = await server.listening;
    const doctor = startCommand(['doctor', url], { cwd });
    doctor.child.stdout?.on('data', (text: string) => {
      if (text.includes('WebSocket')) doctor.child.kill('SIGINT');
    });
    const { code, stdout } = await doctor.ended;
    expect(code).toBe(1);
    expect(stdout).toContain('✓ Clean-up');
    expect(rows(join(cwd, 'data/chat.db'), 'SELECT * FROM rooms')).toEqual([]);
  });
});

describe('settings', () => {
  test('.env is read, the environment overrides it, and --port, --host and --db override both', async () => {
    const cwd = emptyFolder();
    // --db also turns the rooms API on.
    writeFileSync(join(cwd, '.env'), 'SQLITE_DB_PATH=./file.db\nHEARTBEAT_SECONDS=soon\n');
    const env = { PORT: '1', HOST: '192.0.2.1', SQLITE_DB_PATH: './env.db' };
    const args = ['serve', '--port', '0', '--host', '127.0.0.1', '--db', './own.db'];
    const command = startCommand(args, { cwd, env: { ...env, HEARTBEAT_SECONDS: '30' } });
    await pairDevices(await command.listening);
    expect(readdirSync(cwd).filter((name) => name.endsWith('.db'))).toEqual(['own.db']);
  });

  test('a variable of .env that is misspelled is named', async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, '.env'), 'PROT=1\n');
    const { code, stderr } = await runCommand(['db:init'], { cwd });
    const line = 'couplet: .env: PROT is not a setting; did you mean PORT?\n';
    expect({ code, stderr }).toEqual({ code: 0, stderr: line });
  });

  test('all faulty settings are reported together, by name and without secrets', async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, '.env'), 'HEARTBEAT_SECONDS=soon\nADMIN_TOKEN=tooshort\n');
    const env = { PORT: '70000', USE_SQLITE: 'maybe' };
    const { code, stdout, stderr } = await runCommand(['serve'], { cwd, env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const names = stderr.split('\n').map((line) => /^couplet: ([A-Z_]+): /.exec(line)?.[1]);
    expect(names.sort()).toEqual(
      ['ADMIN_TOKEN', 'HEARTBEAT_SECONDS', 'PORT', 'USE_SQLITE', undefined].sort(),
    );
    expect(stderr).not.toContain('tooshort');
  });

  test('a .env that cannot be read is refused', async () => {
    const cwd = emptyFolder();
    mkdirSync(join(cwd, '.env'));
    expect(await runCommand(['serve'], { cwd })).toEqual(refusal(/\.env: cannot be read/));
  });
});

test('db:init creates the database and its folder; a second run keeps every row', async () => {
  const cwd = emptyFolder();
  const env = { SQLITE_DB_PATH: './a/b/chat.db' };
  const done = { code: 0, stdout: 'database ready: ./a/b/chat.db\n', stderr: '' };
  expect(await runCommand(['db:init'], { cwd, env })).toEqual(done);
  const path = join(cwd, 'a/b/chat.db');
  // The file is complete without its WAL.
  expect(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
  execute(path, "INSERT INTO rooms (roomid, client1, client2) VALUES ('r', 'a', 'b')");
  expect(await runCommand(['db:init'], { cwd, env })).toEqual(done);
  expect(rows(path, 'SELECT roomid, client1, client2 FROM rooms')).toEqual([
    { roomid: 'r', client1: 'a', client2: 'b' },
  ]);
});

test.each(['serve', 'db:init'])(
  '%s refuses a database that cannot be used, with one line, and leaves it unchanged',
  async (command) => {
    const cwd = emptyFolder();
    const path = join(cwd, 'other.db');
    execute(path, "CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')");
    const before = readFileSync(path);
    const env = { USE_SQLITE: '1', SQLITE_DB_PATH: './other.db' };
    const ended = await runCommand([command], { cwd, env });
    expect(ended).toEqual(refusal(/other\.db: belongs to another application/));
    expect(readFileSync(path)).toEqual(before);
  },
);
