// The built files under public/, read once at the start: small, immutable, and no path of a request ever meets a disk.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the build puts the pages; beside both `src` and `dist`. */
export const PUBLIC_FOLDER = fileURLToPath(new URL('../../public/', import.meta.url));

export interface PageFile {
  readonly body: Buffer;
  readonly type: string;
  /** Strong (RFC 9110 §8.8.3): the hash of the body. */
  readonly etag: string;
  readonly cacheControl: string;
}

/** What the build makes, and nothing else: a file of another kind is not served. */
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Vite puts what it names by its content there: it never changes under its name. */
const HASHED = /^demo\/assets\//;

/** Reads the folder: name with slashes, such as `demo/index.html`, → file. Empty where there is no build. */
export function readPages(folder: string): Map<string, PageFile> {
  return new Map(
    filesBelow(folder).flatMap((path) => {
      const name = relative(folder, path).split(sep).join('/');
      const type = TYPES[extname(path)];
      if (type === undefined) return [];
      return [[name, pageFile(readFileSync(path), type, HASHED.test(name))] as const];
    }),
  );
}

/** A file as it is served: one that is named by its content may be kept for ever, any other is asked for again. */
export function pageFile(body: Buffer, type: string, isHashed: boolean): PageFile {
  return {
    body,
    type,
    etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`,
    cacheControl: isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
