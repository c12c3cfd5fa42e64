// Forwards and pairs at fixed rates from one event loop, because two generators on one core would delay each other.
import { setTimeout as sleep } from 'node:timers/promises';
import { OpenForwardLoad } from './forward-open.js';
import type { Load, Measured, MixedJob } from './job.js';
import { PairingLoad } from './pairing.js';

/** Values: those of the forwarding, and `flowsPerSecond` of the pairing. */
export class MixedLoad implements Load {
  readonly #forward: OpenForwardLoad;
  readonly #pairing: PairingLoad | undefined;

  constructor({ forward, pairing }: MixedJob) {
    this.#forward = new OpenForwardLoad(forward);
    this.#pairing = pairing === null ? undefined : new PairingLoad(pairing);
  }

  async prepare(): Promise<void> {
    await this.#forward.prepare();
    await this.#pairing?.prepare();
  }

  async measure(seconds: number): Promise<Measured> {
    this.#forward.begin();
    this.#pairing?.begin();
    await sleep(seconds * 1000);
    const forward = await this.#forward.end();
    const pairing = await this.#pairing?.end();
    return {
      values: { ...forward.values, flowsPerSecond: pairing?.values.flowsPerSecond ?? 0 },
      errors: forward.errors + (pairing?.errors ?? 0),
    };
  }

  stop(): void {
    this.#forward.stop();
    this.#pairing?.stop();
  }
}
