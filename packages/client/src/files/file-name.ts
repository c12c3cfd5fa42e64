// Makes the name of a received file safe to show and to save. A peer could send a misleading name.

/** Longest name that common file systems accept. */
const MAX_BYTES = 255;

/** Longest extension that is kept when a long name is shortened. */
const MAX_EXTENSION_LENGTH = 16;

/** Extensions of files that a double click runs. */
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
 * Returns the name in one line of at most 255 bytes, without invisible characters, direction overrides, and characters
 * that file systems refuse. `invoice.pdf.exe` becomes `invoice_pdf.exe`.
 */
export function safeFileName(name: string): string {
  const visible = name
    .replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu, '')
    .replace(/[\p{Cc}\p{Z}\u2800]+/gu, ' ')
    .replace(/\p{Cs}/gu, '\ufffd')
    // Long stacks of combining marks, which no script uses, would cover the lines around the name.
    .replace(/(\p{M}{4})\p{M}+/gu, '$1')
    .replace(/[/\\:*?"<>|]/g, '_')
    // Windows removes dots and spaces at the end.
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

/** Shortens the part before the extension, because the extension decides how the file is opened. */
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
