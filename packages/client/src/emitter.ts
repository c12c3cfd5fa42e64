// Typed events: listeners by name, each called with the arguments that the name promises.

/** Event name → what its listeners are called with. */
export type EventMap<Events> = { [Name in keyof Events]: readonly unknown[] };

/** Who has not listened by then, does not want to. */
const MAX_KEPT = 1000;

/** An object with events. A listener that throws fails by itself: the others are called all the same. */
export class Emitter<Events extends EventMap<Events>> {
  readonly #listeners = new Map<keyof Events, Set<(...args: never) => void>>();
  /** What waits for the first listener of its name. */
  readonly #kept = new Map<keyof Events, (() => void)[]>();

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

  /**
   * The same, but where nobody has listened for that yet, it is kept for who does first: a peer may send before the
   * application at this end has got its session.
   */
  protected emitOrKeep<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    const kept = this.#kept.get(name) ?? [];
    if (this.#listeners.has(name) && kept.length === 0) {
      this.emit(name, ...args);
    } else if (kept.length < MAX_KEPT) {
      kept.push(() => this.emit(name, ...args));
      this.#kept.set(name, kept);
    }
  }

  /** Forgets every listener. */
  protected forgetListeners(): void {
    this.#listeners.clear();
    this.#kept.clear();
  }

  #release(name: keyof Events, kept: readonly (() => void)[]): void {
    if (this.#kept.get(name) !== kept) return;
    this.#kept.delete(name);
    for (const emit of kept) emit();
  }
}
