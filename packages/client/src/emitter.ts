// Typed events: listeners by name, each called with the arguments that the name promises.

/** Event name → what its listeners are called with. */
export type EventMap<Events> = { [Name in keyof Events]: readonly unknown[] };

/** An object with events. A listener that throws fails by itself: the others are called all the same. */
export class Emitter<Events extends EventMap<Events>> {
  readonly #listeners = new Map<keyof Events, Set<(...args: never) => void>>();

  /** Calls the listener at every such event; returns how to stop that. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
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

  /** Forgets every listener. */
  protected forgetListeners(): void {
    this.#listeners.clear();
  }
}
