// Parses JSON of other programs.

/** Returns undefined if the text is not JSON. The error is dropped because it may quote a credential. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
