// Tests the names under which received files are shown and saved.
import { describe, expect, test } from 'vitest';
import { safeFileName } from '../../src/index.js';

test.each([
  ['report.pdf'],
  ['Ä ü 文書 صورة.jpg'],
  ['archive.tar.gz'],
  ['jquery.min.js'],
  ['v1.2.3.zip'],
  ['.bashrc'],
  [`${'n'.repeat(251)}.txt`],
])('%j is not changed', (name) => {
  expect(safeFileName(name)).toBe(name);
});

describe('a misleading name', () => {
  test.each([
    ['a right-to-left override', 'invoice\u202efdp.exe', 'invoicefdp.exe'],
    ['an isolate', 'invoice\u2067fdp.exe\u2069', 'invoicefdp.exe'],
    ['a mark in an extension', 'invoice.e\u200fx\u061ce', 'invoice.exe'],
    ['a zero-width space', 'in\u200bvoice.pdf', 'invoice.pdf'],
    ['a tag character', 'in\u{e0041}voice.pdf', 'invoice.pdf'],
    ['a filler that looks like a space', 'invoice.pdf\u3164\u3164.exe', 'invoice_pdf.exe'],
    ['many spaces', `photo.jpg${' \u00a0\u2003\u2800'.repeat(50)}.exe`, 'photo_jpg .exe'],
    ['a line break', 'a.txt\r\nArrived intact.\u2028', 'a.txt Arrived intact'],
    ['a control character', 'a\u0000b\u0007c\u0085d.txt', 'a b c d.txt'],
    ['stacked marks', `a${'\u0300'.repeat(500)}.txt`, `a${'\u0300'.repeat(4)}.txt`],
    ['a path', '../../etc/passwd', '.._.._etc_passwd'],
    ['a path of Windows', 'C:\\autoexec.bat', 'C__autoexec.bat'],
    ['an extension behind another', 'invoice.pdf.exe', 'invoice_pdf.exe'],
    ['extensions with capitals and spaces', 'a.PDF .v2. ExE', 'a_PDF _v2. ExE'],
    ['dots that Windows drops', 'invoice.pdf.exe. .', 'invoice_pdf.exe'],
    ['half a character', 'a\ud83d.txt', 'a\ufffd.txt'],
    ['nothing', '', 'unnamed file'],
    ['nothing visible', '\u202e \u200b\n', 'unnamed file'],
  ])('with %s', (_, name, safe) => {
    expect(safeFileName(name)).toBe(safe);
  });

  test('a long name is shortened and keeps its extension', () => {
    for (const letter of ['n', 'ä', '文', '😀']) {
      const name = safeFileName(`${letter.repeat(5000)}.pdf.exe`);
      expect(name).toMatch(new RegExp(`^${letter}+…\\.exe$`, 'u'));
      expect(Buffer.byteLength(name)).toBeGreaterThan(250);
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    }
    const dots = safeFileName(`a.${'b'.repeat(5000)}`);
    expect(dots).toBe(`a.${'b'.repeat(250)}…`);
  });
});
