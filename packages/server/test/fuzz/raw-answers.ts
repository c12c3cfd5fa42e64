// Parses HTTP answers from raw bytes as strictly as RFC 9112 requires, any number in a row.

export interface RawResponse {
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  body: string;
}

/** Splits the bytes of one connection into its answers, without interim ones. After a 101, the rest is not HTTP. */
export function readAnswers(bytes: Buffer): RawResponse[] {
  const answers: RawResponse[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) throw new Error(`half an answer: ${rest.toString('latin1')}`);
    const [first = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n');
    rest = rest.subarray(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3}) [ -~]+$/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line: ${first}`);
    const headers = new Map(lines.map(readHeader));
    if (status === 100) continue;
    const answer = { status, headers, body: '' };
    answers.push(answer);
    if (status === 101) return answers;
    if (status === 204) continue;
    const length = Number(headers.get('content-length'));
    if (!Number.isInteger(length)) throw new Error(`no content-length: ${first}`);
    if (rest.length < length) throw new Error(`half a body: ${rest.toString('latin1')}`);
    answer.body = rest.subarray(0, length).toString();
    rest = rest.subarray(length);
  }
  return answers;
}

function readHeader(line: string): [string, string] {
  const [, name, value] = /^([a-z0-9-]+): ?([\t -~\x80-\xff]*)$/i.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`no header: ${line}`);
  return [name.toLowerCase(), value];
}
