// Typed events: listeners by name, each called with the arguments that the name promises.

/** Event name → what its listeners are called with. */
export type EventMap<Events> = { [Name in keyof Events]: readonly unknown[] };

/** Bound of what is kept for the first listener of an event, with so much for each: as much as Chromium buffers to send. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
const BYTES_FOR_EACH = 64;

/** What waits for the first listener. */
interface Kept {
  bytes: number;
  readonly emits: (() => void)[];
}

/** An object with events. A listener that throws fails by itself: the others are called all the same. */
export class Emitter<Events extends EventMap<Events>> {
  readonly #listeners = new Map<keyof Events, Set<(...args: never) => void>>();
  readonly #kept = new Map<keyof Events, Kept>();

  /** Calls the listener at every such event; returns how to stop that. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    const kept = this.#kept.get(name);
    // Not at once: the caller has yet to get what stops the listener.
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
        // The fault is the application's, and goes where its uncaught errors go, not into our state machine.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Whether somebody listens to such events now. */
  protected isHeard(name: keyof Events): boolean {
    return Boolean(this.#listeners.get(name)?.size);
  }

  /**
   * The same, but kept for the first listener if nobody has listened for that yet: a peer may send before the application
   * at this end has its session. Only events with one text or buffer can be kept.
   *
   * @param overflow called once if there is too much to keep, and again after the last event that was kept if it returns
   * false. The events in between are lost.
   */
  protected emitOrKeep<Name extends keyof Events>(
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

  /** Forgets every listener. */
  protected forgetListeners(): void {
    this.#listeners.clear();
    this.#kept.clear();
  }

  #release(name: keyof Events, kept: Kept): void {
    if (this.#kept.get(name) !== kept) return;
    this.#kept.delete(name);
    for (const emit of kept.emits) emit();
  }
}
