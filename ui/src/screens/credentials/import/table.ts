/** The head of a table of credentials. */
export interface Head {
  separator: string;
  /** Its columns by what the API calls them; nothing for those that have no meaning here. */
  columns: (string | undefined)[];
}

const SEPARATORS = ['\t', ';', ','];
const NUMBERS = ['weight', 'priority', 'requests'];

/** The cells of a line of CSV: in quotes where they hold what separates them. */
export function cellsOf(line: string, separator: string): string[] {
  const cells: string[] = [];
  let [cell, quoted] = ['', false];
  for (let at = 0; at < line.length; at += 1) {
    const sign = line.charAt(at);
    if (sign === '"' && quoted && line.charAt(at + 1) === '"') {
      cell += sign;
      at += 1;
    } else if (sign === '"' && (quoted || cell.trim() === '')) {
      quoted = !quoted;
    } else if (sign === separator && !quoted) {
      cells.push(cell.trim());
      cell = '';
    } else cell += sign;
  }
  return [...cells, cell.trim()];
}

/**
 * A line as the head of a table: one of its columns holds secrets. `names` gives what a column is called in the API. Below a head another one is there
 * only where the files of several tables follow one another: the cells of its secrets are names again.
 */
export function headOf(line: string, names: ReadonlyMap<string, string>, secrets: readonly string[], before: Head | null): Head | null {
  const separator = SEPARATORS.find((one) => line.includes(one)) ?? ',';
  const columns = cellsOf(line, separator).map((cell) => names.get(cell.toLowerCase().replaceAll(/[ -]/g, '_')));
  const holds = (column: string | undefined) => column !== undefined && secrets.includes(column);
  if (!columns.some(holds)) return null;
  return before && !before.columns.every((column, at) => !holds(column) || columns[at] !== undefined) ? null : { separator, columns };
}

/** A line of a table as an object; `null` where it has other cells than the head. */
export function rowOf(line: string, { columns, separator }: Head): Record<string, unknown> | null {
  const cells = cellsOf(line, separator);
  if (cells.length !== columns.length) return null;
  const row: Record<string, unknown> = {};
  for (const [at, cell] of cells.entries()) {
    const column = columns[at];
    if (column === undefined || cell === '') continue;
    // What is no number goes as it is: the gateway says so.
    if (NUMBERS.includes(column) && !Number.isNaN(Number(cell))) row[column] = Number(cell);
    else row[column] = column === 'enabled' ? !['false', '0', 'no'].includes(cell.toLowerCase()) : cell;
  }
  return row;
}
