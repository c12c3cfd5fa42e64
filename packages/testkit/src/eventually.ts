// Waiting for what announces itself by no event: a probe, a metric. Looks again until it holds or the test's time is up.

/** Resolves once `holds` does not throw, to what it returns; rejects with its last error after `withinMs`. */
export async function eventually<T>(holds: () => T | Promise<T>, withinMs = 10_000): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      return await holds();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
