// A table whose heads can sort: the order stands in the address.
import type { ComponentChildren } from "preact";
import { query, withParams } from "../router";

export interface Column<T> {
  name: string;
  title: string;
  /** Figures stand on the right. */
  isFigure?: boolean;
  /** What rows are compared by; a column without it does not sort. */
  by?: (row: T) => string | number | bigint | null;
  show: (row: T) => ComponentChildren;
  /** Whether the text may break. */
  wraps?: boolean;
}

const compared = (a: string | number | bigint | null, b: string | number | bigint | null): number => {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
};

/** Rows in the order of the address's `sort`: a column's name, with `-` before it from the largest. */
export function sorted<T>(rows: T[], columns: Column<T>[], first: string): T[] {
  const sort = query.value.get("sort") ?? first;
  const by = columns.find((column) => column.name === sort.replace(/^-/, ""))?.by;
  if (!by) return rows;
  const sign = sort.startsWith("-") ? -1 : 1;
  return rows.slice().sort((a, b) => {
    const [x, y] = [by(a), by(b)];
    // What is not known stands last in both directions.
    return x === null || y === null ? compared(x, y) : sign * compared(x, y);
  });
}

export function Table<T>({
  label,
  columns,
  rows,
  id,
  first = "",
  dim,
}: {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  /** The order without `sort` in the address. */
  first?: string;
  dim?: (row: T) => boolean;
}) {
  const sort = query.value.get("sort") ?? first;
  const head = (column: Column<T>) => {
    if (!column.by) return column.title;
    const isUp = sort === column.name;
    const isDown = sort === `-${column.name}`;
    // Figures begin with the largest, texts with the first.
    const next = column.isFigure ? (isDown ? column.name : `-${column.name}`) : isUp ? `-${column.name}` : column.name;
    return (
      <a href={withParams({ sort: next === first ? null : next })} class={isUp || isDown ? "is-sorted" : ""}>
        {column.title}
        <span aria-hidden="true">{isUp ? " ↑" : isDown ? " ↓" : ""}</span>
      </a>
    );
  };
  const order = (column: Column<T>) =>
    sort === column.name ? "ascending" : sort === `-${column.name}` ? "descending" : undefined;
  return (
    <div class="table-place" tabIndex={0} role="group" aria-label={label}>
      <table class="table is-cards">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" class={column.isFigure ? "figure" : ""} aria-sort={order(column)}>
                {head(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)} class={dim?.(row) ? "is-over" : ""}>
              {columns.map((column) => (
                <td
                  key={column.name}
                  data-name={column.title}
                  class={[column.isFigure ? "figure" : "", column.wraps ? "wrap" : ""].filter(Boolean).join(" ")}
                >
                  {column.show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
