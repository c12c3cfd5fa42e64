// Implements a typed event emitter.

/** Maps each event name to the arguments of its listeners. */
export type EventMap<Events> = { [Name in keyof Events]: readonly unknown[] };

/** Most bytes kept for a listener of an event. Chromium buffers as much for sending. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Overhead counted for each kept event. */
const BYTES_FOR_EACH = 64;

/** Events kept until there is a listener. */
interface Kept {
  bytes: number;
  readonly events: { bytes: number; emit: () => void }[];
}

/** An object with events. If a listener throws, the other listeners are still called. */
export class Emitter<Events extends EventMap<Events>> {
  readonly #listeners = new Map<keyof Events, Set<(...args: never) => void>>();
  readonly #kept = new Map<keyof Events, Kept>();

  /** Adds a listener for an event. Returns a function that removes it. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    // Deferred, because the caller does not have the function that removes the listener yet.
    if (this.#kept.has(name)) queueMicrotask(() => this.#release(name));
    return () => this.off(name, listener);
  }

  /** Adds a listener that is removed before its first call. Returns a function that removes it earlier. */
  once<Name extends keyof Events>(
    name: Name,
    listener: (...args: Events[Name]) => void,
  ): () => void {
    const stop = this.on(name, (...args) => {
      stop();
      listener(...args);
    });
    return stop;
  }

  /** Removes a listener that was added by `on`. */
  off<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): void {
    this.#listeners.get(name)?.delete(listener);
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

  /**
   * Emits an event, or keeps it until the event has a listener. A peer may send before the application at this end has
   * its session, or between two calls of `once`.
   *
   * @param bytes the size of the arguments
   * @param overflow called when the limit is exceeded. This event is lost, and later ones until a kept one is emitted.
   */
  protected keep<Name extends keyof Events>(
    name: Name,
    args: Events[Name],
    bytes = 0,
    overflow = () => {},
  ): void {
    const kept = this.#kept.get(name) ?? { bytes: 0, events: [] };
    if (kept.events.length === 0 && this.#has(name)) {
      this.emit(name, ...args);
      return;
    }
    this.#kept.set(name, kept);
    if (kept.bytes > MAX_KEPT_BYTES) return;
    kept.bytes += BYTES_FOR_EACH + bytes;
    if (kept.bytes > MAX_KEPT_BYTES) overflow();
    else kept.events.push({ bytes, emit: () => this.emit(name, ...args) });
  }

  /** Removes all listeners. */
  protected clear(): void {
    this.#listeners.clear();
    this.#kept.clear();
  }

  #has(name: keyof Events): number | undefined {
    return this.#listeners.get(name)?.size;
  }

  /** Emits what is kept, as long as there is a listener. */
  #release(name: keyof Events): void {
    const kept = this.#kept.get(name);
    while (kept && this.#has(name)) {
      const event = kept.events.shift();
      if (!event) {
        this.#kept.delete(name);
        return;
      }
      kept.bytes -= BYTES_FOR_EACH + event.bytes;
      event.emit();
    }
  }
}
