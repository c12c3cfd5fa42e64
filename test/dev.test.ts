// npm run dev: serves the build, and ends every process that it started.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './support.js';

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends the compiler, the server and itself',
  async (signal) => {
    const child = spawn(process.execPath, [`${ROOT}scripts/dev.js`], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, HOST: '127.0.0.1', PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGTERM'));
    // The output ends when the last process that could write to it has ended, at any depth.
    const closed = once(child, 'close');
    let said = '';
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes('listening on') && said.includes('Watching for file changes')) resolve();
      });
    });
    child.kill(signal);
    const [code] = await closed;
    expect(code).toBe(0);
    expect(said).toContain('"msg":"stopped"');
  },
);
