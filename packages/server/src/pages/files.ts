// Reads the built files under public/ once at the start, so that no request path is ever used as a file path.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Output folder of the build, beside `src` and `dist`. */
export const PUBLIC_FOLDER = fileURLToPath(new URL('../../public/', import.meta.url));

export interface PageFile {
  readonly body: Buffer;
  readonly type: string;
  /** Strong entity tag (RFC 9110 §8.8.3): the hash of the body. */
  readonly etag: string;
  readonly cacheControl: string;
}

/** File types of the build. Other files are not served. */
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
};

/** Files that the builds name by their content, so that a file with a given name never changes. */
const HASHED = /^((demo|docs)\/assets\/|client-verify-)/;

/** Reads the folder. The keys are names with slashes, such as `demo/index.html`. Empty if there is no build. */
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

/** Makes a file. A file that is named by its content may be cached forever; any other must be revalidated. */
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
