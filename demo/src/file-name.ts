// Makes the name of a file safe to show and to save: a name from a peer must not look like another one.

/** Longest name that common file systems take. */
const MAX_BYTES = 255;

/** Longest extension that survives the shortening of a long name. */
const MAX_EXTENSION_LENGTH = 16;

/** Extensions that a double click runs. */
const PROGRAMS = new Set(
  'apk app appimage bat cmd com command cpl desktop dmg exe hta jar js jse lnk msc msi msix pif pkg ps1 py reg scr sh url vb vbe vbs ws wsf wsh'.split(
    ' ',
  ),
);

/** Extensions that make a program look like a document. */
const DOCUMENTS = new Set(
  'avi csv doc docx epub gif heic htm html jpeg jpg key md mkv mov mp3 mp4 odp ods odt pages pdf png ppt pptx rtf svg tif tiff txt wav webm webp xls xlsx zip'.split(
    ' ',
  ),
);

/**
 * The name without invisible characters and direction overrides, in one line, without characters that file systems
 * refuse, and at most 255 bytes long. Of `invoice.pdf.exe` the result is `invoice_pdf.exe`.
 */
export function safeFileName(name: string): string {
  const visible = name
    .replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu, '')
    .replace(/[\p{Cc}\p{Z}\u2800]+/gu, ' ')
    .replace(/\p{Cs}/gu, '\ufffd')
    // More marks than any script stacks on a letter would cover the lines around.
    .replace(/(\p{M}{4})\p{M}+/gu, '$1')
    .replace(/[/\\:*?"<>|]/g, '_')
    // Windows drops dots and spaces at the end.
    .replace(/[. ]+$/, '')
    .trimStart();
  return shortened(withOneExtension(visible)) || 'unnamed file';
}

function withOneExtension(name: string): string {
  const [stem = '', ...extensions] = name.split('.');
  const last = extensions.pop();
  const isA = (kind: ReadonlySet<string>, extension: string | undefined) =>
    extension !== undefined && kind.has(extension.trim().toLowerCase());
  const misleads = isA(PROGRAMS, last) && extensions.some((inner) => isA(DOCUMENTS, inner));
  return misleads ? `${[stem, ...extensions].join('_')}.${last}` : name;
}

/** Cuts before the extension, which tells what opening the file does. */
function shortened(name: string): string {
  const bytesOf = (text: string) => new TextEncoder().encode(text).length;
  if (bytesOf(name) <= MAX_BYTES) return name;
  const dot = name.lastIndexOf('.');
  const hasExtension = dot > 0 && name.length - dot - 1 <= MAX_EXTENSION_LENGTH;
  const end = `…${hasExtension ? name.slice(dot) : ''}`;
  let start = '';
  for (const character of name) {
    if (bytesOf(start + character + end) > MAX_BYTES) break;
    start += character;
  }
  return start + end;
}
