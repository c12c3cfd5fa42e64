// A script that runs in Redis, sent by its hash: the source goes over only where the server does not have it.
import { createHash } from 'node:crypto';

export interface Script {
  /** Names it in counts. */
  readonly name: string;
  readonly source: string;
  readonly sha: string;
}

/**
 * What a script may do beyond others. `allow-oom`: run although memory is full, because it frees some. Without it a
 * server that is full refuses the script before its first line, so none is ever half done.
 */
export type ScriptFlag = 'allow-oom' | 'no-writes';

/** Defines a script; its first line, which declares it to the server, is added here. */
export function defineScript(name: string, lua: string, flags: readonly ScriptFlag[] = []): Script {
  const source = `#!lua flags=${flags.join(',')}\n${lua.trim()}\n`;
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}
