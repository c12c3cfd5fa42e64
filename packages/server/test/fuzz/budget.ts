// Sets the duration and the seed of the fuzz: FUZZ_SECONDS in total, FUZZ_SEED to repeat the same inputs.
import { randomInt } from 'node:crypto';
import fc from 'fast-check';

/** Seconds for all properties together. */
export const FUZZ_SECONDS = Number(process.env.FUZZ_SECONDS || 20);

export const FUZZ_SEED = Number(process.env.FUZZ_SEED || randomInt(2 ** 31));

/** Runs a property on new inputs until its share of the time is up; returns the number of inputs. */
export async function fuzz<T>(
  inputs: fc.Arbitrary<T>,
  share: number,
  holds: (input: T) => Promise<void>,
): Promise<number> {
  let runs = 0;
  const property = fc.asyncProperty(inputs, async (input) => {
    runs += 1;
    await holds(input);
  });
  await fc.assert(property, {
    seed: FUZZ_SEED,
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: FUZZ_SECONDS * share * 1000,
    markInterruptAsFailure: false,
  });
  return runs;
}
