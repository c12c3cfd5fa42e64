// Sends commands over one connection of ioredis, and turns its errors into ours.
import type { Redis as Connection } from 'ioredis';
import { Unavailable } from './http-errors.js';

export type { Connection };

/** A word of a command. */
export type RedisArgument = string | Buffer;

export type Command = readonly [string, ...RedisArgument[]];

/** Commands that one connection holds without an answer; further ones are refused. */
const MAX_UNANSWERED = 50_000;

/** An error reply of a server: as a rule, nothing was done. */
export class RedisReplyError extends Error {
  /** First word of the error: `OOM`, `MOVED`, `NOSCRIPT`. */
  readonly code: string;
  constructor(message: string) {
    super(message);
    this.name = 'RedisReplyError';
    this.code = message.split(' ', 1)[0] as string;
  }
}

/** An error of ioredis without the command that it carries: the arguments of AUTH are secrets, others are keys. */
export function withoutCommand(error: unknown): Error {
  const { message = String(error), code } = error as { message?: string; code?: string };
  return Object.assign(new Error(message || code), code === undefined ? {} : { code });
}

/** Turns a rejection of ioredis into {@link RedisReplyError} or {@link Unavailable}. */
export function rejected(error: unknown): never {
  const { name, message } = error as Error;
  if (name === 'ReplyError') throw new RedisReplyError(message);
  if (name === 'MaxRetriesPerRequestError') {
    throw new Unavailable(new Error('the connection to Redis was lost before the answer'));
  }
  throw new Unavailable(withoutCommand(error));
}

const corked = new WeakSet<object>();

/**
 * Sends a command. The commands of one turn of the event loop leave in one write, in their order.
 *
 * @throws RedisReplyError if the server answers with an error
 * @throws Unavailable if there is no connection, or no answer in time: the command may have been run
 */
export async function send(over: Connection, [name, ...args]: Command): Promise<unknown> {
  if (over.status !== 'ready') throw new Unavailable(new Error('Redis is not connected'));
  if (over.commandQueue.length >= MAX_UNANSWERED) {
    throw new Unavailable(new Error('too many commands await Redis'));
  }
  const { stream } = over;
  if (!corked.has(stream)) {
    corked.add(stream);
    stream.cork();
    setImmediate(() => {
      corked.delete(stream);
      stream.uncork();
    });
  }
  return over.call(name, args).catch(rejected);
}

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 1000;

/** How long to wait before attempt number `attempt` (from 0): doubling, and random so that nodes do not come at once. */
export function reconnectDelayMs(attempt: number, random = Math.random()): number {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 10), LONGEST_DELAY_MS);
  return longest * (0.25 + 0.75 * random);
}
