/** What a spreadsheet would take for a formula is set off as text: names come from people. */
function safe(text: string): string {
  return /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
}

function cell(value: string | number | null | undefined): string {
  if (value == null) return '';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
  const text = safe(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A table as RFC 4180 writes it. What is not known is empty, not 0. */
export function csv(head: string[], rows: (string | number | null | undefined)[][]): string {
  return [head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}

/** Hands a text to the reader as a file. */
export function download(name: string, text: string | Blob, type = 'text/csv'): void {
  // Spreadsheets recognise UTF-8 by its mark.
  const blob = text instanceof Blob ? text : new Blob([type === 'text/csv' ? '\uFEFF' : '', text], { type: `${type};charset=utf-8` });
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun when the click returns, but not everywhere read the address yet.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** `polyport-tokens-2026-11-29.csv`. */
export function fileName(what: string, ending = 'csv', now = new Date()): string {
  const plain = what.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, '');
  return `polyport-${plain || 'export'}-${now.toISOString().slice(0, 10)}.${ending}`;
}
