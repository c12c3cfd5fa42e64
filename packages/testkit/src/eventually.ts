// Polls for a state that no event announces, such as a probe or a metric.

/** Resolves to the result of `holds` once it does not throw; rejects with its last error after `withinMs`. */
export async function eventually<T>(holds: () => T | Promise<T>, withinMs = 100_000): Promise<T> {
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
