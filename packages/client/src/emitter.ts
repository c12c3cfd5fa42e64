// Implements a typed event emitter.

/** Maps each event name to the arguments of its listeners. */
export type EventMap<Events> = { [Name in keyof Events]: readonly unknown[] };

/** Most bytes kept for the first listener of an event. Chromium buffers as much for sending. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Overhead counted for each kept event. */
const BYTES_FOR_EACH = 64;

/** Events kept for the first listener. */
interface Kept {
  bytes: number;
  readonly emits: (() => void)[];
}

/** An object with events. If a listener throws, the other listeners are still called. */
export class Emitter<Events extends EventMap<Events>> {
  readonly #listeners = new Map<keyof Events, Set<(...args: never) => void>>();
  readonly #kept = new Map<keyof Events, Kept>();

  /** Adds a listener for an event. Returns a function that removes it. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    const kept = this.#kept.get(name);
    // Deferred, because the caller does not have the function that removes the listener yet.
    if (kept) queueMicrotask(() => this.#release(name, kept));
    return () => {
      listeners.delete(listener);
    };
  }

  protected emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as (...args: Events[Name]) => void)(...args);
      } catch (error) {
        // The error belongs to the application: report it as uncaught, and keep it out of the state machine.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Whether the event has a listener now. */
  protected has(name: keyof Events): boolean {
    return Boolean(this.#listeners.get(name)?.size);
  }

  /**
   * Emits an event, or keeps it for the first listener if the event has never had one. A peer may send before the
   * application at this end has its session. Only events with a single text or buffer can be kept.
   *
   * @param overflow called once when the limit is exceeded. Later events are lost until there is a listener. If it returns
   * false, it is called again after the last kept event.
   */
  protected keep<Name extends keyof Events>(
    name: Name,
    arg: Events[Name][0] & (string | ArrayBuffer),
    overflow: () => boolean,
  ): void {
    const kept = this.#kept.get(name) ?? { bytes: 0, emits: [] };
    const emit = () => this.emit(name, ...([arg] as unknown as Events[Name]));
    if (this.#listeners.has(name) && kept.emits.length === 0) {
      emit();
      return;
    }
    this.#kept.set(name, kept);
    const wasFull = kept.bytes > MAX_KEPT_BYTES;
    kept.bytes += BYTES_FOR_EACH + (typeof arg === 'string' ? arg.length * 2 : arg.byteLength);
    if (kept.bytes <= MAX_KEPT_BYTES) kept.emits.push(emit);
    else if (!wasFull && !overflow()) kept.emits.push(overflow);
  }

  /** Removes all listeners. */
  protected clear(): void {
    this.#listeners.clear();
    this.#kept.clear();
  }

  #release(name: keyof Events, kept: Kept): void {
    if (this.#kept.get(name) !== kept) return;
    this.#kept.delete(name);
    for (const emit of kept.emits) emit();
  }
}
