// Runs actions at a fixed rate in an open loop. It spins before each, so that the action runs on time.

/** A longer time until the next action is left to a timer, so that a slow pace leaves the core to other processes. */
const SPIN_MS = 3;

/** Calls `act` `perSecond` times a second, and tells each call how late it is. */
export class Pace {
  readonly #perSecond: number;
  readonly #act: (lateMs: number) => void;
  #start = 0;
  #done = 0;
  #running = false;

  constructor(perSecond: number, act: (lateMs: number) => void) {
    this.#perSecond = perSecond;
    this.#act = act;
  }

  start(): void {
    this.#start = performance.now();
    this.#done = 0;
    this.#running = true;
    this.#spin();
  }

  stop(): void {
    this.#running = false;
  }

  readonly #spin = () => {
    if (!this.#running) return;
    const elapsed = performance.now() - this.#start;
    const due = Math.floor((elapsed * this.#perSecond) / 1000);
    while (this.#done < due) {
      this.#done += 1;
      this.#act(elapsed - (this.#done * 1000) / this.#perSecond);
    }
    const restMs = ((this.#done + 1) * 1000) / this.#perSecond - (performance.now() - this.#start);
    if (restMs > SPIN_MS) setTimeout(this.#spin, restMs - SPIN_MS + 1);
    else setImmediate(this.#spin);
  };
}
