// Executes a Dockerfile by hand: each stage is a folder, and each instruction does there what the builder would do.
import { cpSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT, repositoryFiles, run } from '../support.js';

export interface Image {
  /** The folder that represents `/`. */
  root: string;
  /** Working folder, within `root`. */
  workdir: string;
  env: Record<string, string>;
  user: string;
  command: string[];
  healthcheck: string[];
}

/** The Dockerfile's instructions, with lines joined and comments dropped. */
function instructions(): { name: string; rest: string }[] {
  return readFileSync(`${ROOT}Dockerfile`, 'utf8')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
      return { name, rest };
    });
}

/** Whether .dockerignore excludes a file: the last pattern that matches the file or a parent folder decides. */
export function isIgnored(path: string): boolean {
  let ignored = false;
  for (const line of readFileSync(`${ROOT}.dockerignore`, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const pattern = line.replace(/^!/, '');
    const expression = pattern
      .replace(/[.+]/g, '\\$&')
      .replace(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:.*/)?'));
    if (new RegExp(`^${expression}(/|$)`).test(path)) ignored = line[0] !== '!';
  }
  return ignored;
}

/**
 * Builds the image below a folder. Two instructions differ: `npm ci` is replaced by hard links to this checkout's packages,
 * from which `npm prune` removes what `npm ci` would not install, and the current user stands in for the user `node`.
 */
export function buildByHand(folder: string): Image {
  const context = join(folder, 'context');
  for (const path of repositoryFiles().filter((file) => !isIgnored(file))) {
    cpSync(ROOT + path, join(context, path));
  }
  const stages = new Map<string, string>();
  let image = newImage(folder);
  const inside = (path: string) => join(path.startsWith('/') ? image.root : image.workdir, path);
  const rooted = (text: string) => text.replaceAll('/data', join(image.root, 'data'));
  for (const { name, rest } of instructions()) {
    if (name === 'FROM') {
      const stage = / AS (\w+)$/.exec(rest)?.[1] ?? 'final';
      image = newImage(join(folder, stage));
      stages.set(stage, image.root);
    } else if (name === 'WORKDIR') {
      image.workdir = inside(rest);
      mkdirSync(image.workdir, { recursive: true });
    } else if (name === 'COPY') {
      const words = rest.split(' ');
      const from = /^--from=(\w+)$/.exec(words[0] ?? '')?.[1];
      const source = from === undefined ? context : (stages.get(from) ?? 'no such stage');
      const target = words.pop() as string;
      for (const path of words.slice(from === undefined ? 0 : 1)) {
        copy(join(source, path), inside(target), target.endsWith('/'));
      }
    } else if (name === 'RUN' && rest.startsWith('npm ci ')) {
      linkModules(join(image.workdir, 'node_modules'));
      if (rest.includes('--omit=dev')) {
        const args = ['prune', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
        run('npm', args, { cwd: image.workdir });
      }
    } else if (name === 'RUN') {
      run('sh', ['-c', rooted(rest).replace('chown node:node', 'ls')], { cwd: image.workdir });
    } else if (name === 'ENV') {
      for (const [, key = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g))
        image.env[key] = rooted(value);
    } else if (name === 'USER') image.user = rest;
    else if (name === 'CMD') image.command = JSON.parse(rest);
    else if (name === 'HEALTHCHECK') image.healthcheck = JSON.parse(rest.replace(/^.* CMD /, ''));
  }
  return image;
}

const newImage = (root: string): Image => ({
  ...{ root, workdir: root, env: {}, user: 'root', command: [], healthcheck: [] },
});

/** COPY: the content of a folder, or a file itself. */
function copy(source: string, target: string, intoFolder: boolean): void {
  const isFile = statSync(source).isFile();
  const to = isFile && intoFolder ? join(target, basename(source)) : target;
  cpSync(source, to, { recursive: true, verbatimSymlinks: true });
}

/** Hard links need one file system; a temporary folder on another one gets copies. */
function linkModules(target: string): void {
  const modules = `${ROOT}node_modules`;
  const isNear = statSync(join(target, '..')).dev === statSync(modules).dev;
  run('cp', [isNear ? '-al' : '-a', modules, target]);
  // Caches of this checkout, and records of npm, which writes to them: through a link, that would change this checkout.
  run('sh', ['-c', `rm -rf .[!.]*; cp -a ${modules}/.bin ${modules}/.package-lock.json .`], {
    cwd: target,
  });
}
