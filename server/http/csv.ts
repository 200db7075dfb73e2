/** Cells that spreadsheets would run as formulas start with one of these. */
const formulaStart = /^[=+\-@\t\r]/;

/** One line of RFC 4180; a cell that looks like a formula gets an apostrophe, which spreadsheets take for "text". */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(cellOf).join(",")}\r\n`;
}

function cellOf(text: string): string {
  const safe = formulaStart.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
